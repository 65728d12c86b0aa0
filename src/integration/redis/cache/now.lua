return {era, number}

// Small helpers. Text from people only ever becomes text nodes.

export const $ = (id) => document.getElementById(id);

export function element(name, properties = {}, ...children) {
  const made = Object.assign(document.createElement(name), properties);
  made.append(...children);
  return made;
}

export function show(id, visible) {
  $(id).hidden = !visible;
}

let fading;

export function say(text, bad = false) {
  const message = $("message");
  message.textContent = text;
  message.classList.toggle("bad", bad);
  message.hidden = !text;
  clearTimeout(fading);
  if (text && !bad) {
    fading = setTimeout(() => say(""), 8000);
  }
}

// One press, one request: the buttons of a form rest while it is sent.
export async function busy(within, work) {
  const buttons = [...within.querySelectorAll("button")];
  buttons.forEach((button) => { button.disabled = true; });
  try {
    return await work();
  } catch (error) {
    say(error.friendly ?? "Something went wrong on this page. Reload it and try again.", true);
    return undefined;
  } finally {
    buttons.forEach((button) => { button.disabled = false; });
  }
}

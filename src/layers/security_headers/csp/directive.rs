//! The directives, and what each may hold.

/// What stands behind a directive's name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Grammar {
    /// Sources of scripts or styles: nonces, hashes and the `unsafe-` keywords have a meaning.
    Code,
    /// Sources of anything else: only `'none'`, `'self'`, `'report-sample'`, hosts and schemes have one.
    Places,
    /// Nothing.
    Flag,
    /// The tokens of `sandbox`, none being the strictest.
    Sandbox,
    /// Policy names, `'allow-duplicates'`, `'none'`, `*`.
    TrustedTypes,
    /// `'script'`.
    TrustedTypesSinks,
    /// One reporting group.
    ReportGroup,
    /// URI references.
    ReportUris,
    /// `'allow'` or `'block'`.
    AllowBlock,
}

/// Every directive of CSP Level 3 and of the specifications that extend it.
pub(super) const DIRECTIVES: &[(&str, Grammar)] = &[
    ("default-src", Grammar::Code),
    ("script-src", Grammar::Code),
    ("script-src-elem", Grammar::Code),
    ("script-src-attr", Grammar::Code),
    ("style-src", Grammar::Code),
    ("style-src-elem", Grammar::Code),
    ("style-src-attr", Grammar::Code),
    ("worker-src", Grammar::Code),
    ("child-src", Grammar::Places),
    ("connect-src", Grammar::Places),
    ("fenced-frame-src", Grammar::Places),
    ("font-src", Grammar::Places),
    ("frame-src", Grammar::Places),
    ("img-src", Grammar::Places),
    ("manifest-src", Grammar::Places),
    ("media-src", Grammar::Places),
    ("object-src", Grammar::Places),
    ("base-uri", Grammar::Places),
    ("form-action", Grammar::Places),
    ("frame-ancestors", Grammar::Places),
    ("sandbox", Grammar::Sandbox),
    ("webrtc", Grammar::AllowBlock),
    ("upgrade-insecure-requests", Grammar::Flag),
    ("block-all-mixed-content", Grammar::Flag),
    ("require-trusted-types-for", Grammar::TrustedTypesSinks),
    ("trusted-types", Grammar::TrustedTypes),
    ("report-to", Grammar::ReportGroup),
    ("report-uri", Grammar::ReportUris),
];

/// The tokens of `sandbox` (HTML, "The sandbox attribute").
pub(super) const SANDBOX_TOKENS: &[&str] = &[
    "allow-downloads",
    "allow-forms",
    "allow-modals",
    "allow-orientation-lock",
    "allow-pointer-lock",
    "allow-popups",
    "allow-popups-to-escape-sandbox",
    "allow-presentation",
    "allow-same-origin",
    "allow-scripts",
    "allow-storage-access-by-user-activation",
    "allow-top-navigation",
    "allow-top-navigation-by-user-activation",
    "allow-top-navigation-to-custom-protocols",
];

pub(super) fn grammar(name: &str) -> Option<Grammar> {
    DIRECTIVES.iter().find(|(known, _)| *known == name).map(|(_, grammar)| *grammar)
}

/// The known directive that a misspelled one is closest to.
pub(super) fn closest(name: &str) -> Option<&'static str> {
    let nearest = DIRECTIVES.iter().map(|(known, _)| (edits(known, name), *known)).min()?;
    (nearest.0 <= 3).then_some(nearest.1)
}

/// The Levenshtein distance, a row at a time. Longer names than any directive's are not compared.
fn edits(known: &str, name: &str) -> usize {
    if name.len() > 40 {
        return usize::MAX;
    }
    let mut row: Vec<usize> = (0..=name.len()).collect();
    for (above, known_byte) in known.bytes().enumerate() {
        let mut diagonal = above;
        let mut left = above + 1;
        for (cell, name_byte) in row.iter_mut().skip(1).zip(name.bytes()) {
            let substituted = diagonal + usize::from(known_byte != name_byte);
            diagonal = *cell;
            left = substituted.min(*cell + 1).min(left + 1);
            *cell = left;
        }
        if let Some(first) = row.first_mut() {
            *first = above + 1;
        }
    }
    row.last().copied().unwrap_or(usize::MAX)
}

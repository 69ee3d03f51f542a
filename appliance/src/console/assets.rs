//! The console's own files: style, script and sign, in the binary. Their names change with their bytes, so that a browser may keep
//! them for ever.

use std::sync::LazyLock;

use crate::log::hex::hex;

/// One file.
#[derive(Debug)]
pub struct Asset {
    /// Its name, behind `/assets/`.
    pub name: String,
    /// Its type.
    pub content_type: &'static str,
    /// Its bytes.
    pub text: &'static str,
}

/// Bytes of a digest that tell two versions apart.
const MARK_BYTES: usize = 8;

/// The console's, and that of the report that it shows.
const STYLE: &str = concat!(include_str!("assets/console.css"), include_str!("../cli/log/report/report.css"));

static ASSETS: LazyLock<[Asset; 3]> = LazyLock::new(|| {
    [
        asset("console", "css", "text/css; charset=utf-8", STYLE),
        asset("console", "js", "text/javascript; charset=utf-8", include_str!("assets/console.js")),
        asset("sign", "svg", "image/svg+xml", include_str!("assets/sign.svg")),
    ]
});

fn asset(stem: &str, end: &str, content_type: &'static str, text: &'static str) -> Asset {
    let digest = assent_proto::hash::Hash::of_labelled(b"assent console asset", [text.as_bytes()]);
    let mark = hex(digest.0.get(..MARK_BYTES).unwrap_or_default());
    Asset { name: format!("{stem}-{mark}.{end}"), content_type, text }
}

/// The file of this name.
#[must_use]
pub fn find(name: &str) -> Option<&'static Asset> {
    ASSETS.iter().find(|asset| asset.name == name)
}

/// Where the file with this end is.
#[must_use]
pub(super) fn path(end: &str) -> String {
    ASSETS
        .iter()
        .find(|asset| asset.name.ends_with(end))
        .map_or_else(String::new, |asset| format!("/assets/{}", asset.name))
}

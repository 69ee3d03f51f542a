//! The statement that operators sign for a bundle.
//!
//! It binds everything that decides: the digest of all files, and the version that `bundle.toml` states. Going back to an
//! older version is another statement, which names the version that it gives up, so that an old signature cannot do it.

use assent_proto::hash::Hash;

/// The namespace of bundles' signatures: `ssh-keygen -Y sign -n assent-bundle@v1`.
pub const NAMESPACE: &str = "assent-bundle@v1";

/// What is signed, as text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Statement {
    /// Digest of the bundle.
    pub digest: Hash,
    /// The version that it states.
    pub version: Option<u64>,
    /// The version that is given up, where that is a higher one.
    pub replaces: Option<u64>,
}

impl std::fmt::Display for Statement {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "assent/bundle/v1\ndigest {}\n", self.digest)?;
        match self.version {
            Some(version) => writeln!(f, "version {version}")?,
            None => writeln!(f, "version none")?,
        }
        self.replaces.map_or(Ok(()), |replaces| writeln!(f, "replaces {replaces}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn statements_are_these_bytes() {
        let digest = Hash([0xab; 32]);
        let plain = Statement { digest, version: Some(7), replaces: None };
        let hex = "ab".repeat(32);
        assert_eq!(plain.to_string(), format!("assent/bundle/v1\ndigest {hex}\nversion 7\n"));
        let down = Statement { version: None, replaces: Some(7), ..plain };
        let expected = format!("assent/bundle/v1\ndigest {hex}\nversion none\nreplaces 7\n");
        assert_eq!(down.to_string(), expected);
    }
}

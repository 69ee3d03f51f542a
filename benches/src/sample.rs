//! What is asked, of whomever: those intents of the retail sample that its rules allow.

use appliance::sample;
use assent_client::intent::Intent;
use serde::Deserialize;

/// The sample's label of an intent, as far as it is read here.
#[derive(Deserialize)]
struct Label<'a> {
    decision: &'a str,
}

/// The lines of the allowed ones, as the sample has them.
pub(crate) fn allowed_lines() -> anyhow::Result<Vec<&'static str>> {
    let mut allowed = Vec::new();
    for (intent, label) in sample::INTENTS.lines().zip(sample::EXPECTED.lines()) {
        if serde_json::from_str::<Label<'_>>(label)?.decision == "allow" {
            allowed.push(intent);
        }
    }
    Ok(allowed)
}

/// So many of them, over and over, each to be done once.
pub(crate) fn allowed_intents(count: usize) -> anyhow::Result<Vec<Intent>> {
    let lines = allowed_lines()?.join("\n");
    let allowed: Vec<Intent> = assent_client::json::parse_lines(&lines).collect::<Result<_, _>>()?;
    let once = |intent: &Intent| Intent { uses: Some(1), ..intent.clone() };
    Ok(allowed.iter().cycle().take(count).map(once).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_intents_that_are_allowed_are_asked() {
        let allowed = allowed_lines().unwrap();
        assert_eq!(allowed.len(), 1436);
        assert_eq!(allowed_intents(2000).unwrap().len(), 2000);
    }
}

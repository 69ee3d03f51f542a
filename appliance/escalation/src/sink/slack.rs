//! Slack, incoming webhooks: a text for notifications, and blocks for the channel.
//!
//! `&`, `<` and `>` are Slack's markup (`<!channel>` would call everybody) and are escaped. Slack keeps no alert open: an end is
//! a message of its own. The address is the secret.

use assent_proto::calendar::Utc;
use serde::Serialize;

use crate::http::Request;
use crate::limits::MAX_SLACK_TEXT_CHARS;
use crate::message::{Message, Phase, bytes};
use crate::secret::Secret;

/// Bytes of a path that can be a secret; to hide a shorter one would only spoil words.
const MIN_HIDDEN_PATH_BYTES: usize = 8;

/// A channel, by its incoming webhook.
#[derive(Debug)]
pub(super) struct Slack {
    url: Secret,
}

#[derive(Serialize)]
struct Post {
    text: String,
    blocks: Vec<Block>,
}

#[derive(Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
enum Block {
    Section { text: Text },
    Context { elements: [Text; 1] },
}

#[derive(Serialize)]
struct Text {
    #[serde(rename = "type")]
    kind: &'static str,
    text: String,
}

impl Slack {
    pub(super) const fn new(url: Secret) -> Self {
        Self { url }
    }

    /// The message as a request.
    pub(super) fn request(&self, message: &Message) -> Request {
        let incident = message.incident();
        let state = match message.phase() {
            Phase::Begun => incident.shown_severity().label().to_uppercase(),
            Phase::Ended => "ENDED".to_owned(),
        };
        let text = format!("{state}: {}", escaped(&message.summary()));
        let mut lines = format!("*{state}* {}", escaped(&message.summary()));
        if !incident.cause().is_empty() {
            lines.push_str(&format!("\ncause: {}", escaped(incident.cause())));
        }
        for detail in incident.details() {
            lines.push_str(&format!("\n{}: {}", escaped(&detail.name), escaped(&detail.value)));
        }
        let mut context =
            format!("{} | {} | {}", escaped(incident.origin()), incident.kind().label(), Utc(message.time()));
        if let Some(epoch) = incident.epoch() {
            context.push_str(&format!(" | epoch {epoch}"));
        }
        if incident.is_drill() {
            context.push_str(" | drill");
        }
        let post = Post {
            text,
            blocks: vec![
                Block::Section { text: Text { kind: "mrkdwn", text: cut(lines) } },
                Block::Context { elements: [Text { kind: "mrkdwn", text: cut(context) }] },
            ],
        };
        let url = self.url.reveal().to_owned();
        // Whoever has the path alone has the secret too.
        let path = url.splitn(4, '/').nth(3).filter(|path| path.len() >= MIN_HIDDEN_PATH_BYTES);
        let hidden = path.map(str::to_owned).into_iter().collect();
        Request { url, headers: Vec::new(), body: bytes(&post), hidden }
    }
}

/// A text of ours in Slack's markup.
fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

/// As much as a block takes, not breaking an escape.
fn cut(mut text: String) -> String {
    const MARK: &str = "...";
    let Some((end, _)) = text.char_indices().nth(MAX_SLACK_TEXT_CHARS - MARK.len()) else { return text };
    if text.chars().count() > MAX_SLACK_TEXT_CHARS {
        text.truncate(end);
        if let Some(open) = text.rfind('&').filter(|open| !text.get(*open..).is_some_and(|t| t.contains(';')))
        {
            text.truncate(open);
        }
        text.push_str(MARK);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::message::tests::{begun, ended, trip};
    use crate::secret::tests::file;

    const URL: &str = "https://hooks.slack.com/services/T00000000/B00000000/XXXXXXXXXXXXXXXXXXXXXXXX";

    fn posted(message: &Message) -> String {
        let folder = tempfile::tempdir().unwrap();
        let sink = Slack::new(Secret::line(&file(folder.path(), "url", URL), "a URL").unwrap());
        assert!(!format!("{sink:?}").contains("XXXX"));
        let request = sink.request(message);
        assert_eq!((request.url.as_str(), request.headers.len()), (URL, 0));
        String::from_utf8(request.body).unwrap()
    }

    #[test]
    fn a_post_has_a_text_and_blocks_with_markup_escaped() {
        assert_eq!(
            posted(&begun()),
            concat!(
                r#"{"text":"CRITICAL: token boundary closed: &lt;HSM&gt; &amp; more","blocks":["#,
                r#"{"type":"section","text":{"type":"mrkdwn","#,
                r#""text":"*CRITICAL* token boundary closed: &lt;HSM&gt; &amp; more\ncause: hsm_timeout\nslot: 0\n"#,
                r#"module: /usr/lib/libhsm.so"}},"#,
                r#"{"type":"context","elements":[{"type":"mrkdwn","#,
                r#""text":"example.org/log | trip | 2022-11-03T20:26:10.344Z | epoch 7"}]}]}"#
            )
        );
        assert!(posted(&ended()).starts_with(r#"{"text":"ENDED: re-armed after 60 s","blocks":[{"#));
    }

    #[test]
    fn a_drill_is_marked_twice() {
        let post = posted(&Message::new(4, 9, "chat", 0, trip().in_drill(true), None));
        assert!(post.starts_with(r#"{"text":"INFO: [DRILL] token boundary closed"#), "{post}");
        assert!(post.contains(" | drill\""), "{post}");
    }

    #[test]
    fn a_block_is_not_too_long_for_slack_and_no_escape_is_broken() {
        for shift in 0..6 {
            let text = format!("{}{}", "x".repeat(shift), "&lt;".repeat(1000));
            let text = cut(text);
            assert!(text.chars().count() <= MAX_SLACK_TEXT_CHARS);
            assert!(text.strip_suffix("...").unwrap().ends_with(';'));
        }
        assert_eq!(cut("x".repeat(MAX_SLACK_TEXT_CHARS)).len(), MAX_SLACK_TEXT_CHARS);
        let mut incident = trip();
        for number in 0..16 {
            incident = incident.with_detail(&number.to_string(), &"<".repeat(512));
        }
        let post: serde_json::Value =
            serde_json::from_str(&posted(&Message::new(4, 9, "chat", 0, incident, None))).unwrap();
        assert!(post["blocks"][0]["text"]["text"].as_str().unwrap().chars().count() <= MAX_SLACK_TEXT_CHARS);
    }
}

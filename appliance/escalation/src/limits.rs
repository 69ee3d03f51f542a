//! The limits of escalations. What a sink's own interface limits stands here too, with its source.

use std::time::Duration;

/// Bytes of a summary: PagerDuty's Events API v2 takes 1024 characters, the mark of a drill among them.
pub const MAX_SUMMARY_BYTES: usize = 1000;
/// Bytes of a cause label.
pub const MAX_CAUSE_BYTES: usize = 64;
/// Bytes of an origin: a log's name.
pub const MAX_ORIGIN_BYTES: usize = 255;
/// Bytes of the key that holds an incident's events together: PagerDuty's `dedup_key` takes 255 characters.
pub const MAX_KEY_BYTES: usize = 255;
/// Details of one incident.
pub const MAX_DETAILS: usize = 16;
/// Bytes of a detail's name.
pub const MAX_DETAIL_NAME_BYTES: usize = 64;
/// Bytes of a detail's value.
pub const MAX_DETAIL_BYTES: usize = 512;
/// Bytes of the reason why a sink did not take an event.
pub const MAX_REASON_BYTES: usize = 300;

/// Incidents in the outbox, delivered ones among them. All are in memory: 16 KiB each at the very most.
pub const MAX_INCIDENTS: usize = 2048;
/// Incidents that are kept once they have ended and were delivered everywhere, for `escalation list`.
pub const MAX_KEPT_INCIDENTS: usize = 256;
/// Bytes of one incident in the store, with what became of it at every sink.
pub const MAX_RECORD_BYTES: usize = 64 * 1024;
/// Events that wait between those who raise them and the outbox; more are lost, and counted.
pub const MAX_WAITING_EVENTS: usize = 1024;
/// Events that one commit takes into the outbox.
pub const MAX_RAISED_AT_ONCE: usize = 256;

/// Sinks of one appliance.
pub const MAX_SINKS: usize = 16;
/// Bytes of a sink's name.
pub const MAX_SINK_NAME_BYTES: usize = 64;
/// Bytes of a secret's file.
pub const MAX_SECRET_BYTES: u64 = 4096;
/// Secrets of one kind that sign a webhook side by side, so that a receiver can be moved from one to the next.
pub const MAX_SECRETS: usize = 4;
/// Bytes of a webhook's symmetric secret (Standard Webhooks, "Signature scheme": 192 to 512 bits).
pub const HMAC_SECRET_BYTES: std::ops::RangeInclusive<usize> = 24..=64;

/// How long a whole exchange with a sink may last where its configuration does not say (Standard Webhooks, "Request
/// timeouts": 15 to 30 seconds).
pub const SINK_DEADLINE: Duration = Duration::from_secs(15);
/// How long it may last at most: so long a stop in order may have to wait.
pub const MAX_SINK_DEADLINE: Duration = Duration::from_secs(60);
/// Bytes of a refusal's body that are read, for its reason.
pub const MAX_REPLY_BYTES: u64 = 1024;
/// Seconds that a sink may put us off with `Retry-After`: a day, the longest delay of the schedule.
pub const MAX_RETRY_AFTER_SECONDS: u64 = 24 * 60 * 60;
/// Milliseconds between attempts that new events cause while a sink is waited for.
pub const PROBE_PAUSE_MS: u64 = 30_000;
/// How long a sink's thread waits without looking at the clock, which may jump.
pub const MAX_WAIT: Duration = Duration::from_secs(1);

/// Milliseconds until Alertmanager is to take an alert as ended that nobody ended: 30 days. Without an end of ours it would
/// assume its `resolve_timeout`, five minutes.
pub const ALERT_LASTS_MS: u64 = 30 * 24 * 60 * 60 * 1000;
/// Characters of a text in a block of Slack's.
pub const MAX_SLACK_TEXT_CHARS: usize = 3000;

const _: () = assert!(MAX_KEPT_INCIDENTS < MAX_INCIDENTS, "what is kept does not fill the outbox");
const _: () = assert!(SINK_DEADLINE.as_secs() <= MAX_SINK_DEADLINE.as_secs(), "the default is allowed");

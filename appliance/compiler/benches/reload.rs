//! Two hundred thousand entities: what they take in memory, and whether reloading them holds anybody up.
//!
//! One thread decides without a pause, as serving does; the other reloads all entities, swaps the bundle and frees the old
//! one. The longest time between two decisions is told; run it where nothing else runs. It fails where memory (the JSON
//! text that is kept, and the tables) or pause is over its ceiling.

#![expect(
    clippy::expect_used,
    clippy::disallowed_methods,
    reason = "a benchmark may fail as loudly as a test, and times"
)]

use assent_compiler::{Bundle, Document, Rules, Sources};
use assent_evaluator::{Facts, Intent, Snapshot, Uid, Verdict};
use std::fmt::Write;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, RwLock};
use std::time::{Duration, Instant};

const ENTITIES: usize = 200_000;
const MEMORY_CEILING: usize = 150 * 1024 * 1024;
const PAUSE_CEILING: Duration = Duration::from_millis(5);
const RELOADS: usize = 3;
/// How long the machine is looked at without a reload: about as long as the reloads take.
const ALONE: Duration = Duration::from_secs(14);

const CATALOG: &str = r#"
entity Team;
entity Agent in [Team] = { clearance: Long };
entity Order = { owner: String, status: String, total: Long, region: String };
action read appliesTo { principal: [Agent], resource: [Order], context: { owner: String } };
"#;
const POLICIES: &str = r#"
permit (principal in Team::"support", action == Action::"read", resource) when { resource.owner == context.owner };
"#;

/// Orders of some thirty thousand people.
fn entities(round: usize) -> Document {
    let mut text = String::from(
        r#"[{"uid":{"type":"Team","id":"support"},"attrs":{},"parents":[]},
{"uid":{"type":"Agent","id":"a"},"attrs":{"clearance":3},"parents":[{"type":"Team","id":"support"}]}"#,
    );
    for number in 2..ENTITIES {
        let owner = number % 30_000;
        write!(
            text,
            r#",
{{"uid":{{"type":"Order","id":"order-{number:07}"}},"attrs":{{"owner":"user-{owner:05}","status":"pending","total":{},"region":"eu-{}"}},"parents":[]}}"#,
            number + round,
            number % 12
        )
        .expect("text can be written to text");
    }
    text.push(']');
    Document::new("entities.json", text)
}

fn decide(bundle: &Bundle) -> Option<Verdict> {
    let uid = |type_name, id| Uid { type_name, id };
    let view = bundle.view();
    let mut intent = Intent::new(&view);
    intent.ask(uid("Agent", "a"), uid("Action", "read"), uid("Order", "order-0000007"));
    intent.begin_record(1).ok()?;
    intent.key("owner").ok()?;
    intent.string("user-00007").ok()?;
    intent.end().ok()?;
    Some(intent.classify(Facts::default()).ok()?.evaluate().verdict())
}

/// Decides until it is told to stop; gives how often, and the longest time from one decision to the next.
fn longest_pause(current: &RwLock<Arc<Bundle>>, stop: &AtomicBool) -> (u64, Duration) {
    let (mut decided, mut longest, mut last) = (0, Duration::ZERO, Instant::now());
    while !stop.load(Ordering::Relaxed) {
        let bundle = Arc::clone(&current.read().expect("nobody panicked"));
        assert_eq!(decide(&bundle), Some(Verdict::Allow));
        drop(bundle);
        let now = Instant::now();
        (decided, longest, last) = (decided + 1, longest.max(now - last), now);
    }
    (decided, longest)
}

fn main() {
    let sources = Sources {
        catalog: Document::new("catalog.cedarschema", CATALOG),
        policies: vec![Document::new("policies/orders.cedar", POLICIES)],
        risk: Vec::new(),
        links: None,
        operators: None,
        entities: vec![entities(0)],
        tests: Vec::new(),
        rules: Rules::Bundle,
    };
    let text = sources.entities.iter().map(|document| document.text.len()).sum::<usize>();
    let began = Instant::now();
    let bundle = Bundle::compile(sources).expect("the bundle is sound");
    let used = text + tables(&bundle);
    println!("{ENTITIES} entities compiled in {:.2?}", began.elapsed());
    println!("  memory    {:.1} MiB, of them {:.1} MiB their JSON text", mib(used), mib(text));

    let (current, stop) = (RwLock::new(Arc::new(bundle)), AtomicBool::new(false));
    // What the machine itself does to a thread that is never held up, while another one only computes.
    let (_, alone) = std::thread::scope(|scope| {
        let deciding = scope.spawn(|| longest_pause(&current, &stop));
        let began = Instant::now();
        while began.elapsed() < ALONE {
            std::hint::spin_loop();
        }
        stop.store(true, Ordering::Relaxed);
        deciding.join().expect("decisions do not panic")
    });
    println!("  alone     longest pause {alone:.2?} in {ALONE:?}, beside a thread that only counts");
    stop.store(false, Ordering::Relaxed);
    let (decided, longest) = std::thread::scope(|scope| {
        let deciding = scope.spawn(|| longest_pause(&current, &stop));
        for round in 1..=RELOADS {
            let began = Instant::now();
            let known = Arc::clone(&current.read().expect("nobody panicked"));
            let next = Arc::new(known.with_entities(vec![entities(round)]).expect("entities conform"));
            drop(known);
            let swapped = Instant::now();
            let old = std::mem::replace(&mut *current.write().expect("nobody panicked"), next);
            let swap = swapped.elapsed();
            drop(old);
            println!("  reload    {:.2?}, of them the swap {swap:.2?}", began.elapsed());
        }
        stop.store(true, Ordering::Relaxed);
        deciding.join().expect("decisions do not panic")
    });
    println!("  decided   {decided} meanwhile, longest pause {longest:.2?}");
    assert!(used <= MEMORY_CEILING, "{used} bytes are over the ceiling of {MEMORY_CEILING}");
    assert!(longest <= PAUSE_CEILING, "{longest:?} is over the ceiling of {PAUSE_CEILING:?}");
}

/// Bytes of the snapshot's tables, as the evaluator reads them.
fn tables(bundle: &Bundle) -> usize {
    let view = bundle.view();
    let Snapshot { text, elements, attributes, fields, addresses, entities, slots, ancestors, anchors, tags } =
        *view.snapshot();
    let values =
        size_of_val(elements) + size_of_val(attributes) + size_of_val(fields) + size_of_val(addresses);
    let numbers = size_of_val(slots) + size_of_val(ancestors) + size_of_val(anchors) + size_of_val(tags);
    text.len() + values + numbers + size_of_val(entities)
}

fn mib(bytes: usize) -> f64 {
    let kib = u32::try_from(bytes / 1024).unwrap_or(u32::MAX);
    f64::from(kib) / 1024.0
}

//! Two hundred thousand entities: what they take in memory, and whether reloading them holds anybody up.
//!
//! One thread decides without a pause, as serving does; the other reloads all entities, swaps the bundle and frees the old
//! one. The longest time between two decisions is told. It fails where memory or pause is over its ceiling.

#![expect(
    clippy::expect_used,
    clippy::disallowed_methods,
    reason = "a benchmark may fail as loudly as a test, and times"
)]

use assent_compiler::{Bundle, Document, Rules, Sources};
use assent_evaluator::{Facts, Intent, Uid, Verdict};
use std::alloc::{GlobalAlloc, Layout, System};
use std::fmt::Write;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, RwLock};
use std::time::{Duration, Instant};

const ENTITIES: usize = 200_000;
const MEMORY_CEILING: usize = 150 * 1024 * 1024;
const PAUSE_CEILING: Duration = Duration::from_millis(5);
const RELOADS: usize = 3;

/// Counts bytes that are in use.
struct Counting;

static USED: AtomicUsize = AtomicUsize::new(0);

// SAFETY: everything is handed on to the system's allocator; only sizes are counted.
#[expect(unsafe_code, reason = "an allocator is unsafe by its nature")]
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        USED.fetch_add(layout.size(), Ordering::Relaxed);
        // SAFETY: the caller's promise is handed on.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        USED.fetch_sub(layout.size(), Ordering::Relaxed);
        // SAFETY: the caller's promise is handed on.
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

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
        entities: vec![entities(0)],
        tests: Vec::new(),
        rules: Rules::Bundle,
    };
    let text = sources.entities.iter().map(|document| document.text.len()).sum::<usize>();
    let before = USED.load(Ordering::Relaxed) - text;
    let began = Instant::now();
    let bundle = Bundle::compile(sources).expect("the bundle is sound");
    let used = USED.load(Ordering::Relaxed) - before;
    println!("{ENTITIES} entities compiled in {:.2?}", began.elapsed());
    println!("  memory    {:.1} MiB, of them {:.1} MiB their JSON text", mib(used), mib(text));

    let (current, stop) = (RwLock::new(Arc::new(bundle)), AtomicBool::new(false));
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

fn mib(bytes: usize) -> f64 {
    let kib = u32::try_from(bytes / 1024).unwrap_or(u32::MAX);
    f64::from(kib) / 1024.0
}

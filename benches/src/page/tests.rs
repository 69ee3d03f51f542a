//! Pages of made-up figures.

use super::*;
use crate::figures::Run;

const FIGURES: &[(&str, f64)] = &[
    ("tokens_1x1_a_second", 1250.0),
    ("tokens_1x16_a_second", 14_800.0),
    ("tokens_1x64_a_second", 48_100.0),
    ("tokens_1x256_a_second", 119_000.0),
    ("tokens_1x1024_a_second", 203_000.0),
    ("tokens_1x4096_a_second", 241_000.0),
    ("tokens_8x1_a_second", 6900.0),
    ("tokens_8x16_a_second", 71_000.0),
    ("tokens_8x64_a_second", 158_000.0),
    ("tokens_8x256_a_second", 236_000.0),
    ("tokens_8x1024_a_second", 283_000.0),
    ("tokens_8x4096_a_second", 291_000.0),
    ("tokens_64x1_a_second", 15_900.0),
    ("tokens_64x16_a_second", 127_000.0),
    ("tokens_64x64_a_second", 214_000.0),
    ("tokens_64x256_a_second", 268_000.0),
    ("tokens_64x1024_a_second", 288_111.0),
    ("tokens_64x4096_a_second", 301_234.0),
    ("batch_1024_a_second", 288_111.0),
    ("raw_sign_a_second", 4871.0),
    ("plain_peer_a_second", 1720.0),
    ("cerbos_a_second", 15_300.0),
    ("paced_114_ms_a_second", 96_444.0),
    ("raw_sign_p50_us", 204.0),
    ("commit_p50_us", 365.0),
    ("echo_p50_us", 61.0),
    ("lone_p50_us", 842.0),
    ("lone_p99_us", 4630.0),
    ("lone_p999_us", 9120.0),
    ("agents_64_a_second", 15_900.0),
    ("echo_64_a_second", 36_000.0),
    ("token_cold_ns", 33_100.0),
    ("token_cached_ns", 3210.0),
    ("verify_strict_ns", 29_400.0),
    ("jwt_eddsa_ns", 52_700.0),
    ("paseto_v4_ns", 61_200.0),
    ("biscuit_ns", 187_000.0),
    ("cedar_1_ns", 2900.0),
    ("cedar_10_ns", 21_400.0),
    ("cedar_100_ns", 214_000.0),
    ("evaluator_1_ns", 64.0),
    ("evaluator_10_ns", 410.0),
    ("evaluator_100_ns", 3900.0),
    ("intent_1_ns", 310.0),
    ("intent_10_ns", 660.0),
    ("intent_100_ns", 4200.0),
    ("flood_p99_us", 9000.0),
    ("calm_p99_us", 3700.0),
    ("resident_peak_mb", 148.0),
];

/// So many runs of the figures, each a little off, as far as their names begin with one of these.
fn report(runs: u8, prefixes: &[&str]) -> Report {
    let run = |number: u8| {
        let mut run = Run::default();
        for (name, figure) in
            FIGURES.iter().filter(|(name, _)| prefixes.iter().any(|prefix| name.starts_with(prefix)))
        {
            run.note(*name, figure * f64::from(number).mul_add(0.03, 0.97));
        }
        run
    };
    Report {
        hsm: "SoftHSM2 2.6.1".to_owned(),
        is_judged: true,
        processor: "a processor".to_owned(),
        cores: 2,
        began: "2026-11-28T12:00:00Z".to_owned(),
        runs: (0..runs).map(run).collect(),
    }
}

#[test]
fn page_without_figures_tells_that_nothing_was_measured() {
    for runs in [0, 1] {
        let page = page(&report(runs, &[]));
        assert!(page.contains("nothing was measured"));
        assert!(!page.contains("<svg") && !page.contains("<table"), "{page}");
    }
}

#[test]
fn texts_stay_texts() {
    let mut report = report(1, &["cedar"]);
    report.hsm = "<script>alert(1)</script>".to_owned();
    report.began = "\"><b>".to_owned();
    report.runs.iter_mut().for_each(|run| run.note("<i>", 1.0));
    let page = page(&report);
    assert!(!page.contains("<script") && !page.contains("<b>") && !page.contains("<i>"), "{page}");
    assert!(page.contains("&lt;script&gt;") && page.contains("&lt;i&gt;"));
}

#[test]
fn targets_say_whether_they_were_held() {
    let missed = page(&report(1, &["flood", "calm"]));
    assert!(missed.contains("<td class=\"missed\">missed</td>") && !missed.contains("<td class=\"held\">"));
    assert!(missed.contains("0 of 1 targets held") && missed.contains("Not measured: tokens in batches"));
    let held = page(&report(1, &["resident"]));
    assert!(held.contains("<td class=\"held\">held</td>") && !held.contains("<td class=\"missed\">"));
    assert!(held.contains("1 of 1 targets held") && held.contains("at most 256"));
}

#[test]
fn every_point_and_bar_says_its_value() {
    let page = page(&report(3, &[""]));
    for title in [
        "64 agents, batches of 1024: 288,111 tokens a second",
        "1 agent, batches of 1: 1,250 tokens a second",
        "raw C_Sign 4,871",
        "plain peer 1,720",
        "Cerbos 15,300",
        "commit, p50: 365 us",
        "lone intent, p50: 842 us",
        "p99.9: 9,120 us",
        "Biscuit: 187 us",
        "further of a round: 3.21 us",
        "Cedar, 100 policies: 214,000 ns",
        "evaluator, 1 policy: 64.0 ns",
    ] {
        assert!(page.contains(&format!("<title>{title}</title>")), "{title}");
    }
    assert_eq!(page.matches("<circle").count(), 18 + 9);
    assert_eq!(page.matches("<figure>").count(), 4);
    // To look at it.
    if let Some(file) = std::env::var_os("BENCH_PAGE") {
        std::fs::write(file, page).unwrap();
    }
}

#[test]
fn what_was_not_measured_is_left_out() {
    let page = page(&report(1, &["tokens_8x1_", "tokens_8x64_", "token_c", "cerbos"]));
    assert_eq!(page.matches("<circle").count(), 2);
    assert_eq!(page.matches("<figure>").count(), 2);
    assert!(page.contains("Cerbos") && !page.contains("1 agent,") && !page.contains("raw C_Sign 0"));
    assert!(!page.contains("<title>Biscuit") && !page.contains("NaN") && !page.contains("inf\""));
}

#[test]
fn page_is_one_file_without_scripts() {
    let page = page(&report(2, &[""]));
    for foreign in ["<script", "http", "src=", "url(", "@import", "<link"] {
        assert!(!page.contains(foreign), "{foreign}");
    }
}

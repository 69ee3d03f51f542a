//! Pages of made-up figures.

use super::*;
use crate::figures::Run;
use crate::setting::Setting;

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
    ("token_cached_text_ns", 3890.0),
    ("guard_admit_ns", 4210.0),
    ("flood_p50_us", 5100.0),
    ("flood_p99_us", 9000.0),
    ("calm_p50_us", 2900.0),
    ("calm_p99_us", 3700.0),
    ("paced_resident_peak_mb", 131.0),
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
    let setting = Setting {
        version: "0.1.0".to_owned(),
        commit: Some("5b45733".to_owned()),
        hsm: "SoftHSM2".to_owned(),
        hsm_version: Some("2.6".to_owned()),
        cerbos_version: Some("0.51.0".to_owned()),
        processor: "a processor".to_owned(),
        cores: 2,
        kernel: Some("6.1.0".to_owned()),
        file_system: Some("ext4".to_owned()),
        warnings: Vec::new(),
    };
    Report {
        setting,
        is_judged: true,
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
    report.setting.hsm = "<script>alert(1)</script>".to_owned();
    report.setting.warnings.push("<b>".to_owned());
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
fn behind_another_hsm_nothing_is_held_and_nothing_missed() {
    let page = page(&Report { is_judged: false, ..report(1, &["flood", "calm", "resident"]) });
    assert_eq!(page.matches("<td class=\"soft\">not judged</td>").count(), 2, "{page}");
    assert_eq!(page.matches("2 targets measured, none judged").count(), 2, "{page}");
    for judged in ["\"held\"", "\"missed\"", "(--held)", "(--missed)", "targets held"] {
        assert!(!page.split_once("<body>").unwrap().1.contains(judged), "{judged}: {page}");
    }
}

#[test]
fn head_says_what_was_measured_and_on_what() {
    let mut report = report(2, &["cedar"]);
    report.setting.warnings.push("/tmp lies in memory".to_owned());
    let page = page(&report);
    let line = "Assent 0.1.0 of commit 5b45733, SoftHSM2 2.6, Cerbos 0.51.0, Linux 6.1.0, ext4, 2 processors (a processor)";
    assert!(page.contains(line) && page.contains("Warning: /tmp lies in memory."), "{page}");
}

#[test]
fn figures_stand_by_what_they_are_of() {
    let page = page(&report(1, &["cedar", "lone", "raw"]));
    let (_, details) = page.split_once("<details>").unwrap();
    let places =
        ["bare parts", "raw_sign_p50_us", "lone intents", "lone_p50_us", "an evaluation", "cedar_1_ns"]
            .map(|text| details.find(text).unwrap());
    assert!(places.is_sorted(), "{places:?}");
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
        "64 agents: 15,900 /s",
        "bare exchanges: 36,000 /s",
        "p99 without it: 3.70 ms",
        "p99 beside it: 9.00 ms",
        "batches of 1,024: 96,444 /s",
        "at full load: 148 MB",
        "at 114 ms: 131 MB",
        "further, by the guard: 4.21 us",
        "further, from text: 3.89 us",
        "Biscuit: 187 us",
        "further of a round: 3.21 us",
        "Cedar, 100 policies: 214,000 ns",
        "evaluator, 1 policy: 64.0 ns",
    ] {
        assert!(page.contains(&format!("<title>{title}</title>")), "{title}");
    }
    assert_eq!(page.matches("<circle").count(), 18 + 9);
    for bound in ["at least 100,000", "at most 256"] {
        assert_eq!(page.matches(&format!("<title>{bound}</title>")).count(), 1, "{bound}");
    }
    assert_eq!(page.matches("<figure>").count(), 8);
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

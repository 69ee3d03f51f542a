//! A sheet: the words of one exposition, written metric by metric.
//!
//! The one rule: a name stands in the code as it stands in a query, whole. What OpenMetrics says apart from it, unit and the
//! suffix of its type, is taken from the name; so nobody looks for a name in vain, and no unit contradicts one.

use std::fmt::Result;

use prometheus_client::encoding::{DescriptorEncoder, EncodeGaugeValue, NoLabelSet};
use prometheus_client::metrics::MetricType;
use prometheus_client::registry::Unit;

use super::histogram::Distribution;

/// Nanoseconds of a second, by which times are divided.
pub(super) const NANOSECONDS: f64 = 1e9;

/// What is being written.
pub(super) struct Sheet<'s>(pub(super) DescriptorEncoder<'s>);

impl Sheet<'_> {
    /// A value that rises and falls.
    pub(super) fn gauge(&mut self, name: &str, help: &str, value: impl EncodeGaugeValue) -> Result {
        let (stem, unit) = stem(name, "");
        self.0.encode_descriptor(stem, help, unit.as_ref(), MetricType::Gauge)?.encode_gauge(&value)
    }

    /// The same, where there may be none: then it is told of, and has no value.
    pub(super) fn gauge_if(
        &mut self,
        name: &str,
        help: &str,
        value: Option<impl EncodeGaugeValue>,
    ) -> Result {
        let (stem, unit) = stem(name, "");
        let mut metric = self.0.encode_descriptor(stem, help, unit.as_ref(), MetricType::Gauge)?;
        value.map_or(Ok(()), |value| metric.encode_gauge(&value))
    }

    /// The same, one for each value of a label.
    pub(super) fn gauges<'r>(
        &mut self,
        name: &str,
        help: &str,
        label: &str,
        rows: impl IntoIterator<Item = (&'r str, impl EncodeGaugeValue)>,
    ) -> Result {
        let (stem, unit) = stem(name, "");
        let mut family = self.0.encode_descriptor(stem, help, unit.as_ref(), MetricType::Gauge)?;
        rows.into_iter()
            .try_for_each(|(value, read)| family.encode_family(&[(label, value)])?.encode_gauge(&read))
    }

    /// A count that only rises.
    pub(super) fn counter(&mut self, name: &str, help: &str, count: u64) -> Result {
        let (stem, unit) = stem(name, "_total");
        let mut metric = self.0.encode_descriptor(stem, help, unit.as_ref(), MetricType::Counter)?;
        metric.encode_counter::<NoLabelSet, _, f64>(&count, None)
    }

    /// The same, of a time in seconds.
    pub(super) fn time_counter(&mut self, name: &str, help: &str, seconds: f64) -> Result {
        let (stem, unit) = stem(name, "_total");
        let mut metric = self.0.encode_descriptor(stem, help, unit.as_ref(), MetricType::Counter)?;
        metric.encode_counter::<NoLabelSet, _, f64>(&seconds, None)
    }

    /// The same, one for each set of labels.
    pub(super) fn counters<'r, const LABELS: usize>(
        &mut self,
        name: &str,
        help: &str,
        rows: impl IntoIterator<Item = ([(&'r str, &'r str); LABELS], u64)>,
    ) -> Result {
        let (stem, unit) = stem(name, "_total");
        let mut family = self.0.encode_descriptor(stem, help, unit.as_ref(), MetricType::Counter)?;
        rows.into_iter().try_for_each(|(labels, count)| {
            family.encode_family(&labels)?.encode_counter::<NoLabelSet, _, f64>(&count, None)
        })
    }

    /// A histogram, whose whole numbers are divided by this.
    pub(super) fn histogram(&mut self, name: &str, help: &str, read: &Distribution, per: f64) -> Result {
        let (stem, unit) = stem(name, "");
        let bounds = read.bounds.iter().map(|bound| *bound as f64 / per).chain([f64::INFINITY]);
        let buckets: Vec<(f64, u64)> = bounds.zip(read.counts.iter().copied()).collect();
        let mut metric = self.0.encode_descriptor(stem, help, unit.as_ref(), MetricType::Histogram)?;
        metric.encode_histogram::<NoLabelSet>(read.sum as f64 / per, read.count(), &buckets, None)
    }

    /// A text that says of what the rest is.
    pub(super) fn info(&mut self, name: &str, help: &str, label: &str, text: &str) -> Result {
        let (stem, unit) = stem(name, "_info");
        let mut metric = self.0.encode_descriptor(stem, help, unit.as_ref(), MetricType::Info)?;
        metric.encode_info(&[(label, text)])
    }
}

/// A name without the suffix of its type and without its unit.
fn stem<'n>(name: &'n str, suffix: &str) -> (&'n str, Option<Unit>) {
    let name = name.strip_suffix(suffix).unwrap_or(name);
    if let Some(stem) = name.strip_suffix("_seconds") {
        (stem, Some(Unit::Seconds))
    } else if let Some(stem) = name.strip_suffix("_bytes") {
        (stem, Some(Unit::Bytes))
    } else {
        (name, None)
    }
}

#[cfg(test)]
mod tests {
    use prometheus_client::collector::Collector;
    use prometheus_client::encoding::{prometheus_text, text};
    use prometheus_client::registry::Registry;

    use super::*;
    use crate::meters::Histogram;

    #[derive(Debug)]
    struct One;

    impl Collector for One {
        fn encode(&self, encoder: DescriptorEncoder<'_>) -> Result {
            let mut sheet = Sheet(encoder);
            let histogram = Histogram::new(&[1_000_000]);
            histogram.observe(2_000_000);
            sheet.counters("assent_b_total", "B", [([("x", "1"), ("y", "2")], 3)])?;
            sheet.gauges("assent_c_timestamp_seconds", "C", "of", [("d", 1.5)])?;
            sheet.gauge_if("assent_absent", "None", None::<u64>)?;
            sheet.histogram("assent_d_seconds", "D", &histogram.read(), NANOSECONDS)?;
            sheet.info("assent_e_info", "E", "digest", "00")
        }
    }

    fn registry() -> Registry {
        let mut registry = Registry::default();
        registry.register_collector(Box::new(One));
        registry
    }

    #[test]
    fn names_are_written_as_they_are_queried() {
        let mut open = String::new();
        text::encode(&mut open, &registry()).unwrap();
        for line in [
            "# TYPE assent_b counter",
            "assent_b_total{x=\"1\",y=\"2\"} 3",
            "# UNIT assent_c_timestamp_seconds seconds",
            "assent_c_timestamp_seconds{of=\"d\"} 1.5",
            "assent_d_seconds_sum 0.002",
            "assent_d_seconds_bucket{le=\"0.001\"} 0",
            "assent_d_seconds_bucket{le=\"+Inf\"} 1",
            "# TYPE assent_e info",
            "assent_e_info{digest=\"00\"} 1",
            "# EOF",
        ] {
            assert!(open.lines().any(|found| found == line), "{line}: {open}");
        }
        assert!(open.contains("# TYPE assent_absent gauge\n") && !open.contains("\nassent_absent"), "{open}");
    }

    #[test]
    fn the_older_notation_has_the_same_names() {
        let mut older = String::new();
        prometheus_text::encode(&mut older, &registry()).unwrap();
        for line in
            ["# TYPE assent_b_total counter", "# TYPE assent_e_info gauge", "assent_e_info{digest=\"00\"} 1"]
        {
            assert!(older.lines().any(|found| found == line), "{line}: {older}");
        }
        assert!(!older.contains("# EOF"), "{older}");
    }
}

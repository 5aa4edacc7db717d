//! What monitoring is told: every metric with its name, and a sheet of their values in the text format of Prometheus
//! (OpenMetrics 1.0).
//!
//! Who has something to tell counts it in plain numbers of its own; a sheet is filled when somebody asks. Names and labels are
//! stable, and docs/METRICS.md is made from them. A label never holds anything of a person, nor an id that grows in number
//! with the people.

mod families;

pub use families::*;

use std::fmt;

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, MetricEncoder, NoLabelSet};
use prometheus_client::metrics::MetricType;
use prometheus_client::registry::Registry;

use crate::base::Histogram;

/// The media type of [`Sheet::text`].
pub const MEDIA_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// What kind of numbers a metric has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Only grows while the process runs; shown with `_total` behind its name.
    Counter,
    /// Goes up and down.
    Gauge,
    /// Durations in buckets; shown as `_bucket`, `_sum` and `_count`.
    Histogram,
}

impl Kind {
    /// As the text format says it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Counter => "counter",
            Self::Gauge => "gauge",
            Self::Histogram => "histogram",
        }
    }
}

/// One metric.
#[derive(Clone, Copy, Debug)]
pub struct Family {
    /// Its name, without what its kind adds.
    pub name: &'static str,
    /// What kind it is of.
    pub kind: Kind,
    /// The names of its labels.
    pub labels: &'static [&'static str],
    /// What it counts or measures in.
    pub unit: &'static str,
    /// What it means.
    pub help: &'static str,
}

impl Family {
    /// The name by which it is asked for; that of a histogram stands for its three series.
    #[must_use]
    pub fn shown(&self) -> String {
        match self.kind {
            Kind::Counter => format!("{}_total", self.name),
            Kind::Gauge | Kind::Histogram => self.name.to_owned(),
        }
    }
}

/// The value of one metric for one set of labels.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    /// Of a counter.
    Count(u64),
    /// Of a gauge; left out when it is not finite.
    Level(f64),
    /// Of a histogram.
    Times(Histogram),
}

impl Value {
    fn encode(&self, encoder: &mut MetricEncoder<'_>) -> fmt::Result {
        match self {
            Self::Count(count) => encoder.encode_counter::<NoLabelSet, u64, u64>(count, None),
            Self::Level(level) if level.is_finite() => encoder.encode_gauge(level),
            Self::Level(_) => Ok(()),
            Self::Times(times) => {
                let buckets: Vec<(f64, u64)> = times.buckets().collect();
                encoder.encode_histogram::<NoLabelSet>(times.sum().as_secs_f64(), times.count(), &buckets, None)
            }
        }
    }
}

#[derive(Debug)]
struct Sample {
    family: &'static str,
    labels: Vec<(&'static str, String)>,
    value: Value,
}

/// The values of all metrics at one moment.
#[derive(Debug, Default)]
pub struct Sheet(Vec<Sample>);

impl Sheet {
    /// Notes a value; `labels` are those of the family, in its order.
    pub fn add(&mut self, family: &Family, labels: &[&str], value: Value) {
        debug_assert_eq!(family.labels.len(), labels.len(), "{}", family.name);
        let labels = family.labels.iter().copied().zip(labels.iter().map(|&label| label.to_owned())).collect();
        self.0.push(Sample { family: family.name, labels, value });
    }

    /// Notes a count.
    pub fn count(&mut self, family: &Family, labels: &[&str], count: u64) {
        self.add(family, labels, Value::Count(count));
    }

    /// Notes a level.
    #[expect(clippy::cast_precision_loss, reason = "counts of workers and connections are far below 2^52")]
    pub fn level(&mut self, family: &Family, labels: &[&str], level: u64) {
        self.add(family, labels, Value::Level(level as f64));
    }

    /// The text for Prometheus.
    ///
    /// # Errors
    /// Never, as far as a `String` takes all that is written.
    pub fn text(self) -> Result<String, fmt::Error> {
        let mut registry = Registry::default();
        registry.register_collector(Box::new(self));
        let mut text = String::new();
        prometheus_client::encoding::text::encode(&mut text, &registry)?;
        Ok(text)
    }
}

impl Collector for Sheet {
    fn encode(&self, mut encoder: DescriptorEncoder) -> Result<(), fmt::Error> {
        for family in FAMILIES {
            let kind = match family.kind {
                Kind::Counter => MetricType::Counter,
                Kind::Gauge => MetricType::Gauge,
                Kind::Histogram => MetricType::Histogram,
            };
            let mut metric = encoder.encode_descriptor(family.name, family.help, None, kind)?;
            for sample in self.0.iter().filter(|sample| sample.family == family.name) {
                if sample.labels.is_empty() {
                    sample.value.encode(&mut metric)?;
                } else {
                    sample.value.encode(&mut metric.encode_family(&sample.labels)?)?;
                }
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;
    use std::time::Duration;

    #[test]
    fn names_are_of_one_form_and_unique() {
        let names: BTreeSet<&str> = FAMILIES.iter().map(|family| family.name).collect();
        assert_eq!(names.len(), FAMILIES.len());
        for family in FAMILIES {
            assert!(family.name.starts_with("rollcall_") || family.name.starts_with("process_"), "{}", family.name);
            assert!(family.name.chars().all(|c| c.is_ascii_lowercase() || c == '_'), "{}", family.name);
            assert!(!family.name.ends_with("_total"), "{}", family.name);
            assert_eq!(family.kind == Kind::Histogram, family.name.ends_with("_duration_seconds"), "{}", family.name);
            let people = ["user", "worker", "name", "sid", "path"];
            assert!(family.labels.iter().all(|label| !people.contains(label)), "{}", family.name);
        }
    }

    #[test]
    fn values_are_shown_as_prometheus_reads_them() {
        let mut sheet = Sheet::default();
        sheet.count(&SCIM_REQUESTS, &["ok\"ta", "GET", "ok"], 3);
        sheet.level(&BACKLOG, &["default", "leavers"], 7);
        sheet.level(&DATABASE_UP, &[], 1);
        sheet.add(&BACKLOG_TIME_LEFT, &["default"], Value::Level(f64::INFINITY));
        let mut times = Histogram::default();
        times.record(Duration::from_millis(3));
        times.record(Duration::from_mins(2));
        sheet.add(&SCIM_DURATION, &["GET"], Value::Times(times));
        let text = sheet.text().unwrap();
        for line in [
            "# TYPE rollcall_scim_requests counter",
            "rollcall_scim_requests_total{connection=\"ok\\\"ta\",method=\"GET\",outcome=\"ok\"} 3",
            "rollcall_backlog_workers{account=\"default\",lane=\"leavers\"} 7.0",
            "rollcall_scim_request_duration_seconds_sum{method=\"GET\"} 120.003",
            "rollcall_scim_request_duration_seconds_count{method=\"GET\"} 2",
            "rollcall_scim_request_duration_seconds_bucket{le=\"0.005\",method=\"GET\"} 1",
            "rollcall_scim_request_duration_seconds_bucket{le=\"+Inf\",method=\"GET\"} 2",
            "# TYPE rollcall_backlog_time_left_seconds gauge",
            "rollcall_database_up 1.0",
        ] {
            assert!(text.lines().any(|shown| shown == line), "{line} is not in\n{text}");
        }
        assert!(!text.contains("rollcall_backlog_time_left_seconds{"), "{text}");
        assert!(text.ends_with("# EOF\n"), "{text}");
    }
}

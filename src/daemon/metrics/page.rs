//! The text form of figures (Prometheus exposition format 0.0.4): families of samples, each with its help and type.

use std::fmt::Write as _;

#[derive(Default)]
pub struct Page {
    text: String,
}

/// A label and its value.
pub type Label<'a> = (&'a str, &'a str);

impl Page {
    /// Begins a family: all samples of a name stand together.
    pub fn family(&mut self, name: &'static str, kind: &str, help: &str) -> Family<'_> {
        let help = help.replace('\\', "\\\\").replace('\n', "\\n");
        // Writing to a String cannot fail, here and below.
        let _ = writeln!(self.text, "# HELP {name} {help}\n# TYPE {name} {kind}");
        Family { page: self, name }
    }

    pub fn into_text(self) -> String {
        self.text
    }
}

pub struct Family<'a> {
    page: &'a mut Page,
    name: &'static str,
}

impl Family<'_> {
    pub fn plain(&mut self, value: f64) {
        self.sample("", &[], value);
    }

    pub fn labelled(&mut self, label: Label<'_>, value: f64) {
        self.sample("", &[label], value);
    }

    /// One sample; `suffix` as histograms have them.
    pub fn sample(&mut self, suffix: &str, labels: &[Label<'_>], value: f64) {
        let text = &mut self.page.text;
        text.push_str(self.name);
        text.push_str(suffix);
        for (n, (name, value)) in labels.iter().enumerate() {
            let _ = write!(text, "{}{name}=\"{}\"", if n == 0 { '{' } else { ',' }, escaped(value));
        }
        let _ = writeln!(text, "{} {value}", if labels.is_empty() { "" } else { "}" });
    }
}

fn escaped(value: &str) -> String {
    value.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whatever_a_label_holds_it_stays_on_its_line() {
        let mut page = Page::default();
        page.family("a_total", "counter", "First.\nSecond \\.").labelled(("by", "x\"y\\z\nw"), 3.0);
        page.family("b", "gauge", "B.").plain(0.5);
        let text = page.into_text();
        assert_eq!(
            text,
            "# HELP a_total First.\\nSecond \\\\.\n# TYPE a_total counter\na_total{by=\"x\\\"y\\\\z\\nw\"} 3\n\
             # HELP b B.\n# TYPE b gauge\nb 0.5\n"
        );
    }
}

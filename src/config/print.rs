//! `orzo config print`: the effective configuration as TOML, each value with where it came from.

use std::fmt::Write as _;

use toml::{Table, Value};

use super::Loaded;
use super::read::{dotted, table_of};

impl Loaded {
    /// TOML text that, read again, gives the same configuration.
    pub fn print(&self) -> String {
        let mut out = String::new();
        self.print_section("", &table_of(&self.config), &mut out);
        out
    }

    /// Plain keys first: in TOML they would otherwise belong to the section above them.
    fn print_section(&self, section: &str, table: &Table, out: &mut String) {
        for (key, value) in table {
            if !value.is_table() {
                let origin = self.origin(&dotted(section, key));
                writeln!(out, "{key} = {value}  # {origin}").expect("a string takes everything");
            }
        }
        for (key, value) in table {
            if let Value::Table(inner) = value {
                let name = dotted(section, key);
                writeln!(out, "\n[{name}]").expect("a string takes everything");
                self.print_section(&name, inner, out);
            }
        }
    }

    fn origin(&self, key: &str) -> String {
        match (self.lines.get(key), &self.file) {
            (None, _) => "default".to_owned(),
            (Some(line), None) => format!("line {line}"),
            (Some(line), Some(file)) => format!("{} line {line}", file.display()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::parse;

    #[test]
    fn what_is_printed_reads_back_the_same() {
        let text =
            "data_dir = \"/var/lib/orzo\"\n[statsd]\nudp = []\nresource_tag = \"\"\n[threads]\nshards = 4\n";
        let loaded = parse(text).unwrap();
        assert_eq!(parse(&loaded.print()).unwrap().config, loaded.config);
    }

    #[test]
    fn each_value_says_where_it_came_from() {
        let printed = parse("[http]\nmax_limit = 7\n").unwrap().print();
        assert!(printed.contains("max_limit = 7  # line 2\n"), "{printed}");
        assert!(printed.contains("listen = \"127.0.0.1:8041\"  # default\n"), "{printed}");
    }
}

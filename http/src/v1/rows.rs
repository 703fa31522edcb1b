//! Computed measures on their way to the client.

use indexmap::IndexMap;
use orzo_model::ops::{Answer, Answers, Period};
use orzo_model::{Column, Granularity};

use super::arguments::write_rows;
use crate::json::Writer;

/// The keys under which a series is shown.
pub(super) type Path = Vec<String>;

/// Computed measures: one series, or several under the names of what they were computed from.
pub(super) struct Measures(Tree);

enum Tree {
    Node(IndexMap<String, Tree>),
    Rows(Vec<(Period, Column)>),
}

impl Measures {
    /// Sorts answers under `paths`, which are those of the series in their order.
    pub(super) fn new(answers: Vec<(Granularity, Answer)>, paths: &[Path]) -> Self {
        let mut root = Tree::Node(IndexMap::new());
        for (_, Answer { period, series }) in answers {
            match series {
                Answers::Aggregated(column) => root.put(&["aggregated".to_owned()], period, column),
                Answers::Each(columns) => {
                    paths.iter().zip(columns).for_each(|(path, column)| root.put(path, period, column));
                }
            }
        }
        Measures(root)
    }

    /// One series that was put together elsewhere.
    pub(super) fn aggregated(rows: Vec<(Period, Column)>) -> Self {
        Measures(Tree::Node([("aggregated".to_owned(), Tree::Rows(rows))].into_iter().collect()))
    }

    pub(super) fn write(&self, writer: &mut Writer) {
        self.0.write(writer);
    }
}

impl Tree {
    fn put(&mut self, path: &[String], period: Period, column: Column) {
        match (self, path) {
            (Tree::Rows(rows), _) => rows.push((period, column)),
            (Tree::Node(children), [key, rest @ ..]) => {
                let empty =
                    || if rest.is_empty() { Tree::Rows(Vec::new()) } else { Tree::Node(IndexMap::new()) };
                children.entry(key.clone()).or_insert_with(empty).put(rest, period, column);
            }
            (Tree::Node(_), []) => {}
        }
    }

    fn write(&self, writer: &mut Writer) {
        match self {
            Tree::Rows(rows) => {
                writer
                    .list(|list| rows.iter().for_each(|(period, column)| write_rows(list, column, *period)));
            }
            Tree::Node(children) => writer.object(|object| {
                children.iter().for_each(|(key, child)| child.write(object.key(key)));
            }),
        }
    }
}

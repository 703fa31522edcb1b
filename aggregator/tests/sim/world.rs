//! A run: one node, its clients, and what they may expect.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use crossbeam::channel::Receiver;
use orzo_aggregator::PostError;
use orzo_aggregator::record::Names;
use orzo_model::resource::ResourceId;
use orzo_model::{ArchivePolicy, MetricId};
use orzo_store::index::{NewMetric, NewResource, Rule};

use crate::coverage::Coverage;
use crate::kv::FaultyKv;
use crate::log::Log;
use crate::node::{Node, now, seed_ids, set_now};
use crate::reads::OpenRead;
use crate::rng::Rng;
use crate::setup::{Name, OVER_HTTP, START_NS, Setup, at, names, policies, rules};
use crate::twin::{Told, Twin};

/// A metric that readers may ask for.
#[derive(Clone, Debug)]
pub(crate) struct Metric {
    pub(crate) id: MetricId,
    pub(crate) policy: String,
    pub(crate) label: String,
    /// Times that were posted before, to be repeated.
    pub(crate) posted: Vec<u64>,
    pub(crate) alive: bool,
}

/// What became of a post to one shard.
pub(crate) struct Post {
    pub(crate) answer: Receiver<Result<(), PostError>>,
    /// The write that appended it.
    pub(crate) write: Option<u64>,
}

/// What a shard has to count since it started, its samples and the measures that were posted.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Ledger {
    /// Samples that went to other shards.
    pub(crate) handed: u64,
    /// Samples that came from other shards.
    pub(crate) taken: u64,
    pub(crate) applied: u64,
    pub(crate) too_old: u64,
    pub(crate) accepted: u64,
    pub(crate) refused: u64,
    /// Samples and measures of deleted metrics: they may have counted as any of these.
    pub(crate) unsure: u64,
}

/// Something that a client or an operator has begun and not ended.
pub(crate) enum Begun {
    /// A request was checked; its measures are on their way.
    Post(Vec<orzo_aggregator::Post>),
    /// Deleted in the index, the shards do not know yet.
    Forget(MetricId),
    /// Changed in the index, the shards do not know yet.
    Policy(Arc<ArchivePolicy>),
}

pub(crate) struct World {
    pub(crate) rng: Rng,
    pub(crate) setup: Setup,
    pub(crate) kv: FaultyKv,
    pub(crate) node: Node,
    pub(crate) names: Vec<Name>,
    pub(crate) metrics: Vec<Metric>,
    pub(crate) log: Log,
    /// By partition: which series the blobs tell.
    pub(crate) told: BTreeMap<usize, Names>,
    pub(crate) twins: Vec<Twin>,
    pub(crate) ledgers: Vec<Ledger>,
    pub(crate) posts: BTreeMap<usize, Post>,
    pub(crate) posts_ever: usize,
    /// The newest write that a client was told is safe.
    pub(crate) promised: u64,
    pub(crate) begun: Vec<Begun>,
    pub(crate) open_read: Option<OpenRead>,
    pub(crate) coverage: Coverage,
    pub(crate) trace: VecDeque<String>,
    trace_max: usize,
    pub(crate) step: u64,
}

impl World {
    /// Remembers so many of the last actions.
    pub(crate) fn new(seed: u64, trace_max: usize) -> Self {
        let mut rng = Rng::new(seed);
        let setup = Setup::draw(&mut rng);
        set_now(at(START_NS));
        seed_ids(rng.next());
        let kv = FaultyKv::default();
        let node = Node::start(&kv, &setup).unwrap();
        let shards = setup.shards;
        let mut world = World {
            names: names(setup.ids),
            metrics: Vec::new(),
            log: Log::default(),
            told: BTreeMap::new(),
            twins: (0..shards).map(|_| Twin::default()).collect(),
            ledgers: vec![Ledger::default(); shards],
            posts: BTreeMap::new(),
            posts_ever: 0,
            promised: 0,
            begun: Vec::new(),
            open_read: None,
            coverage: Coverage::default(),
            trace: VecDeque::new(),
            trace_max,
            step: 0,
            rng,
            setup,
            kv,
            node,
        };
        world.furnish();
        world
    }

    /// Policies, a rule, the resource of statsd, and metrics made over HTTP.
    fn furnish(&mut self) {
        let index = self.node.index.clone();
        policies().into_iter().for_each(|policy| drop(index.create_policy(policy).unwrap()));
        let rule = Rule { name: "ruled".into(), pattern: "ruled.*".into(), policy: "timers".into() };
        index.create_rule(rule).unwrap();
        let home = rules().home;
        let resource = ResourceId::derive(&home.default_resource, Some(&home.creator)).unwrap();
        index.create_resource(new_resource(resource)).unwrap();
        for name in self.names.clone().into_iter().filter(|name| name.adopted) {
            self.make_metric(Some(resource), name.text, "plain");
        }
        for number in 0..self.rng.between(2, 6) {
            let policy = *self.rng.pick(&OVER_HTTP);
            self.make_metric(None, format!("posted.{number}"), policy);
        }
    }

    fn make_metric(&mut self, resource: Option<ResourceId>, name: String, policy: &str) {
        let creator = rules().home.creator;
        let new = NewMetric { name: Some(name), unit: None, policy: Some(policy.into()), resource, creator };
        let metric = self.node.index.create_metrics(vec![new], now()).unwrap().pop().unwrap().unwrap();
        self.meet(metric.id, metric.policy, "http".into());
    }

    /// A metric exists from now on.
    pub(crate) fn meet(&mut self, id: MetricId, policy: Arc<ArchivePolicy>, label: String) {
        if let Some(known) = self.metrics.iter_mut().find(|metric| metric.id == id) {
            // It was lost in a power cut, and made again.
            known.alive = true;
        } else {
            let label = format!("m{} ({label}, {})", self.metrics.len(), policy.name);
            let name = policy.name.clone();
            self.metrics.push(Metric { id, policy: name, label, posted: Vec::new(), alive: true });
            self.log.meet(id, policy);
        }
    }

    pub(crate) fn note(&mut self, what: String) {
        if self.trace.len() == self.trace_max {
            self.trace.pop_front();
        }
        self.trace.push_back(format!("{:5} {:?} {}", self.step, now(), what));
    }

    /// Tells a shard, and its twin.
    pub(crate) fn tell_twin(&mut self, shard: usize, told: Told) {
        self.twins[shard].inbox.push_back(told);
    }

    pub(crate) fn tell_twins(&mut self, told: &Told) {
        self.twins.iter_mut().for_each(|twin| twin.inbox.push_back(told.clone()));
    }

    pub(crate) fn metric(&self, id: MetricId) -> Option<&Metric> {
        self.metrics.iter().find(|metric| metric.id == id)
    }

    pub(crate) fn label(&self, id: MetricId) -> String {
        self.metric(id).map_or_else(|| id.to_string(), |metric| metric.label.clone())
    }
}

fn new_resource(id: ResourceId) -> NewResource {
    let home = rules().home;
    NewResource {
        id,
        original_id: home.default_resource,
        resource_type: home.resource_type,
        creator: home.creator,
        user_id: None,
        project_id: None,
        started_at: None,
        ended_at: None,
        attributes: Vec::new(),
        metrics: Vec::new(),
        now: now(),
    }
}

//! The hot path allocates nothing once it is warm: bytes to parsed samples to batches and back.

use std::sync::Arc;

use orzo_base::{CachePadded, Exchange};
use orzo_ingest::{ListenerCounters, Naming, Parser, Router, Routes};
use orzo_model::{Batch, Partitions, Profile};

const LINES: &str = "page.views:1|c\n\
    page.views:1|c|@0.1\n\
    fuel.level:+4.5|g|T1656581400\n\
    query.time:320:280.25:12|ms|@0.5|#env:prod,region:eu-west,host:web1,unit:ms\n\
    users.current,service=payroll,region=us/west:32|g|c:container|card:low\n\
    statsd.[dim1=val1,dim2=val2]latency:7|d\n\
    users.uniques:alice@example.org|s\n\
    mixed:1|c:200|ms\n\
    a:1|c|#9:,8:,7:,6:,5:,4:,3:,2:,1:,0:,i:,h:,g:,f:,e:,d:,c:,b:,a:,k:,l:,m:,n:,o\n\
    _e{5,4}:title|text|p:low\n\
    _sc|db|0|m:fine\n\
    broken\n\
    broken:x|c\n\
    bro\u{301}ken:1|c|@0\n";

#[test]
fn no_allocation_per_line_after_warm_up() {
    const ROUNDS: usize = 500;
    let counters: Arc<CachePadded<ListenerCounters>> = Arc::default();
    let (mut producers, consumers) = Exchange::open(1, 2, Batch::new);
    let routes = Routes::even(Partitions::DEFAULT, 2);
    let mut router = Router::new(producers.remove(0), routes, Arc::clone(&counters));
    let mut parser = Parser::new(Naming::new(7));
    let mut invalid = LINES.as_bytes().to_vec();
    invalid.extend_from_slice(b"\xff:1|c\n");

    let mut round = || {
        for profile in [Profile::Native, Profile::Gnocchi] {
            parser.text(profile, LINES.as_bytes(), &counters, &mut router);
            parser.text(profile, &invalid, &counters, &mut router);
        }
        router.flush();
        for consumer in &consumers {
            while let Some(batch) = consumer.receive() {
                consumer.give_back(batch.home(), batch);
            }
        }
    };
    round();
    let allocations = allocation_counter::measure(|| (0..ROUNDS).for_each(|_| round()));
    assert_eq!(allocations.count_total, 0, "{allocations:?}");
    // The counter itself must be able to see one.
    assert!(allocation_counter::measure(|| drop(std::hint::black_box(Box::new(1)))).count_total > 0);

    let lines = 4 * LINES.lines().count() as u64 + 2;
    assert_eq!(counters.lines.get(), lines * (ROUNDS as u64 + 1));
    assert_eq!(
        counters.lines.get(),
        counters.lines_accepted() + counters.events.get() + counters.checks.get() + counters.lines_dropped()
    );
}

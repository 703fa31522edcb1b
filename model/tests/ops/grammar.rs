//! Operations: what is accepted, as which tree, and how the rest is refused.

use orzo_model::ops::{Expr, OPERATION_DEPTH, OPERATION_NODES};
use proptest::prelude::*;
use serde_json::{Value, json};

use crate::vectors::{list, load, text};

fn check_accepted(case: &Value) {
    let operations = &case["operations"];
    if list(&case["references"]).is_empty() {
        // The grammar accepts it; the next check wants a reference.
        let refusal = Expr::parse(operations).unwrap_err();
        assert_eq!(refusal.cause, "Operations is invalid", "{operations}");
        assert_eq!(refusal.reason, "At least one 'metric' is required", "{operations}");
        assert_eq!(refusal.detail, case["tree"], "{operations}");
        return;
    }
    let expr = Expr::parse(operations).unwrap_or_else(|refusal| panic!("{operations}: {refusal}"));
    assert_eq!(expr.to_json(), case["tree"], "{operations}");
    let references: Vec<Value> =
        expr.references().iter().map(|reference| json!([reference.name, reference.method])).collect();
    assert_eq!(references, list(&case["references"]), "{operations}");
    let again = Expr::parse(&expr.to_json()).unwrap();
    assert_eq!(again.to_json(), expr.to_json(), "what is printed reads back as the same");
}

fn check_refused(case: &Value) {
    let operations = &case["operations"];
    let refusal = Expr::parse(operations).unwrap_err();
    assert_eq!(refusal.cause, text(&case["cause"]), "{operations}");
    assert_eq!(refusal.reason, text(&case["reason"]), "{operations}");
    let detail = case.get("parser_detail").unwrap_or(&case["detail"]);
    assert_eq!(&refusal.detail, detail, "{operations}");
}

#[test]
fn operations_are_read_as_the_reference_reads_them() {
    let file = load("aggregates-grammar");
    let (refused, accepted): (Vec<_>, Vec<_>) =
        list(&file["cases"]).iter().partition(|case| case["status"] == 400);
    assert_eq!((accepted.len(), refused.len()), (33, 35));
    accepted.into_iter().for_each(check_accepted);
    refused.into_iter().for_each(check_refused);
}

#[test]
fn a_bad_reference_below_is_named_rather_than_the_operation() {
    for (operations, reason) in [
        (json!(["abs", ["metric", ["a", "mean"], ["b"]]]), "None @ data['operations'][1]"),
        (json!(["abs", ["metric", ["a", 1]]]), "expected str @ data['operations'][0]"),
        (
            json!(["foo", ["metric", "a"]]),
            "'foo' operation invalid for dictionary value @ data['operations']",
        ),
        (json!([["abs"], 2]), "'['abs']' operation invalid for dictionary value @ data['operations']"),
        (json!([1.5, null]), "'1.5' operation invalid for dictionary value @ data['operations']"),
    ] {
        assert_eq!(Expr::parse(&operations).unwrap_err().reason, reason, "{operations}");
    }
}

#[test]
fn operands_are_checked_when_read() {
    for (operations, reason) in [
        ("(+ (metric a mean) (aggregate mean 2))", "'aggregate' needs a series, not a number"),
        ("(+ (metric a mean) (rateofchange (abs 2)))", "'rateofchange' needs a series, not a number"),
        ("(* 2 (clip (metric a mean) (metric b mean) 3))", "'clip' takes one series or three"),
    ] {
        let refusal = Expr::parse(&json!(operations)).unwrap_err();
        assert_eq!(refusal.cause, "Operations is invalid");
        assert!(refusal.reason.starts_with(reason), "{operations}: {refusal}");
    }
}

#[test]
fn size_is_bounded() {
    let nested = |depth| (1..depth).fold(json!(["metric", "a", "mean"]), |inner, _| json!(["abs", inner]));
    assert!(Expr::parse(&nested(OPERATION_DEPTH)).is_ok());
    let refusal = Expr::parse(&nested(OPERATION_DEPTH + 1)).unwrap_err();
    assert!(refusal.reason.starts_with("Operations nested more than 64 deep"), "{refusal}");
    let wide =
        |depth| (0..depth).fold(json!(["metric", "a", "mean"]), |sub, _| json!(["+", sub.clone(), sub]));
    assert_eq!(OPERATION_NODES, 4096);
    assert!(Expr::parse(&wide(11)).is_ok());
    assert!(Expr::parse(&wide(12)).unwrap_err().reason.starts_with("More than 4096 operations"));
}

#[test]
fn many_references_are_fine() {
    let references = (0..20_000).map(|index| format!(" (m{index} mean)")).collect::<String>();
    let expr = Expr::parse(&json!(format!("(aggregate mean (metric{references}))"))).unwrap();
    assert_eq!(expr.references().len(), 20_000);
    assert!(expr.is_aggregated());
}

fn any_json() -> impl Strategy<Value = Value> {
    let words = ["metric", "aggregate", "mean", "resample", "rolling", "clip", "+", "abs", "1", "x", "60"];
    let leaf = prop_oneof![
        8 => prop::sample::select(words.map(Value::from).to_vec()),
        2 => prop::sample::select(vec![json!(1), json!(-2.5), json!(true), json!(null), json!({ "a": 1 })]),
    ];
    leaf.prop_recursive(4, 24, 4, |sub| prop::collection::vec(sub, 0..5).prop_map(Value::Array))
}

proptest! {
    #[test]
    fn any_list_is_answered(operations in any_json()) {
        if let Ok(expr) = Expr::parse(&operations) {
            prop_assert_eq!(Expr::parse(&expr.to_json()).map(|again| again.to_json()), Ok(expr.to_json()));
        }
    }

    #[test]
    fn any_text_is_answered(text in "[()\\[\"'\\\\ a+é2\n]{0,40}") {
        if let Err(refusal) = Expr::parse(&json!(text)) {
            prop_assert!(refusal.cause.starts_with("Invalid") || refusal.cause == "Operations is invalid");
        }
    }
}

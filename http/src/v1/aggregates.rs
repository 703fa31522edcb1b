//! `POST /v1/aggregates`: expressions over metrics, given by id or found by resource and name.

use std::collections::{BTreeSet, HashMap};

use hyper::{Method, StatusCode};
use indexmap::IndexMap;
use orzo_model::filter::{Condition, Filter, Glob};
use orzo_model::metric::Metric;
use orzo_model::ops::{Answer, Answers, Expr, Holes, Period, Revision, Span, Total, spans};
use orzo_model::resource::{Resource, ResourceId, parse_uuid};
use orzo_model::resource_type::ResourceType;
use orzo_model::{Column, Granularity, MetricId};
use orzo_store::index::{self, ResourcePage, SortKey};

use super::aggregation::Arguments;
use super::arguments::write_rows;
use super::evaluation::{Input, Task, compute};
use super::metric::MetricTarget;
use super::show::{self, Attributes};
use super::{filter_body, resource_list};
use crate::call::Call;
use crate::error::{ApiError, Outcome};
use crate::json::{Object, Value, Writer};
use crate::response::Response;
use crate::schema::Node;

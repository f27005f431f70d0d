//! The functions that OCSF needs beyond standard SQL.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, BooleanBuilder, ListArray, StringArray, StringBuilder, StructArray};
use arrow::compute::cast;
use arrow::datatypes::{DataType, TimeUnit};
use datafusion::common::{Result, ScalarValue, exec_err};
use datafusion::logical_expr::interval_arithmetic::Interval;
use datafusion::logical_expr::preimage::PreimageResult;
use datafusion::logical_expr::simplify::SimplifyContext;
use datafusion::logical_expr::{ColumnarValue, Expr, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, TypeSignature, Volatility};
use serde_json::Value;

pub(super) const HAS_OBSERVABLE: &str = "has_observable";

/// All of them.
pub(super) fn all() -> Vec<ScalarUDF> {
    [Kind::Ts, Kind::HasObservable, Kind::Observable, Kind::Entity, Kind::JsonGet]
        .into_iter()
        .map(|kind| ScalarUDF::new_from_impl(Function::new(kind)))
        .collect()
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Kind {
    /// `ts(time)`: milliseconds as a timestamp.
    Ts,
    /// `has_observable(observables, 'value')`, or of one type: `has_observable(observables, 'value', 2)`.
    HasObservable,
    /// `observable(observables, type_id | 'name')`: the first value of that kind.
    Observable,
    /// `entity(user, actor, device, …)`: the best name of the first that has one.
    Entity,
    /// `json_get(unmapped, 'a.b')`: the value at a path, as text.
    JsonGet,
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct Function {
    kind: Kind,
    signature: Signature,
}

impl Function {
    fn new(kind: Kind) -> Self {
        let signature = match kind {
            Kind::Ts => Signature::exact(vec![DataType::Int64], Volatility::Immutable),
            Kind::HasObservable => Signature::one_of(vec![TypeSignature::Any(2), TypeSignature::Any(3)], Volatility::Immutable),
            Kind::Observable => Signature::any(2, Volatility::Immutable),
            Kind::Entity => Signature::variadic_any(Volatility::Immutable),
            Kind::JsonGet => Signature::exact(vec![DataType::Utf8, DataType::Utf8], Volatility::Immutable),
        };
        Self { kind, signature }
    }
}

fn timestamp() -> DataType {
    DataType::Timestamp(TimeUnit::Millisecond, Some("UTC".into()))
}

impl ScalarUDFImpl for Function {
    fn name(&self) -> &str {
        match self.kind {
            Kind::Ts => "ts",
            Kind::HasObservable => HAS_OBSERVABLE,
            Kind::Observable => "observable",
            Kind::Entity => "entity",
            Kind::JsonGet => "json_get",
        }
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _: &[DataType]) -> Result<DataType> {
        Ok(match self.kind {
            Kind::Ts => timestamp(),
            Kind::HasObservable => DataType::Boolean,
            Kind::Observable | Kind::Entity | Kind::JsonGet => DataType::Utf8,
        })
    }

    /// A bound on `ts(time)` is a bound on `time`, which files are pruned by.
    fn preimage(&self, args: &[Expr], literal: &Expr, _: &SimplifyContext) -> Result<PreimageResult> {
        let (Kind::Ts, [time], Expr::Literal(ScalarValue::TimestampMillisecond(Some(ms), _), _)) = (self.kind, args, literal) else {
            return Ok(PreimageResult::None);
        };
        let interval = Interval::try_new(ScalarValue::Int64(Some(*ms)), ScalarValue::Int64(ms.checked_add(1)))?;
        Ok(PreimageResult::Range { expr: time.clone(), interval: Box::new(interval) })
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let rows = args.number_rows;
        let array: ArrayRef = match (self.kind, args.args.as_slice()) {
            (Kind::Ts, [time]) => cast(&time.to_array(rows)?, &timestamp())?,
            (Kind::HasObservable, [list, ColumnarValue::Scalar(value)]) => has_observable(&list.to_array(rows)?, value, None)?,
            (Kind::HasObservable, [list, ColumnarValue::Scalar(value), ColumnarValue::Scalar(kind)]) => {
                has_observable(&list.to_array(rows)?, value, Some(kind))?
            }
            (Kind::Observable, [list, ColumnarValue::Scalar(key)]) => observable(&list.to_array(rows)?, key)?,
            (Kind::Entity, parts) => {
                let arrays = parts.iter().map(|part| part.to_array(rows)).collect::<Result<Vec<_>>>()?;
                entity(&arrays, rows)
            }
            (Kind::JsonGet, [json, ColumnarValue::Scalar(path)]) => json_get(&json.to_array(rows)?, path)?,
            _ => return exec_err!("`{}` takes a column and a constant", self.name()),
        };
        Ok(ColumnarValue::Array(array))
    }
}

/// The lists and, for all their items, the text column of this name.
fn items<'a>(list: &'a ArrayRef, column: &str) -> Result<(&'a ListArray, StringArray)> {
    let Some(list) = list.as_list_opt::<i32>() else { return exec_err!("the first argument must be `observables`") };
    let Some(values) = list.values().as_struct_opt().and_then(|item| item.column_by_name(column)) else {
        return exec_err!("the first argument must be `observables`");
    };
    Ok((list, cast(values, &DataType::Utf8)?.as_string::<i32>().clone()))
}

/// Indices of the items of one row.
fn range(list: &ListArray, row: usize) -> std::ops::Range<usize> {
    if list.is_null(row) {
        return 0..0;
    }
    let bound = |at: usize| list.offsets().get(at).and_then(|offset| usize::try_from(*offset).ok()).unwrap_or(0);
    bound(row)..bound(row + 1)
}

fn has_observable(list: &ArrayRef, value: &ScalarValue, type_id: Option<&ScalarValue>) -> Result<ArrayRef> {
    let Some(Some(wanted)) = value.try_as_str() else { return exec_err!("`{HAS_OBSERVABLE}` takes a text as second argument") };
    let kinds = type_id.map(|type_id| items(list, "type_id").map(|(_, kinds)| (kinds, type_id.to_string()))).transpose()?;
    let is_kind = |item: usize| kinds.as_ref().is_none_or(|(kinds, wanted)| kinds.is_valid(item) && kinds.value(item) == wanted);
    let (list, values) = items(list, "value")?;
    let mut out = BooleanBuilder::with_capacity(list.len());
    for row in 0..list.len() {
        out.append_value(range(list, row).any(|item| values.is_valid(item) && values.value(item) == wanted && is_kind(item)));
    }
    Ok(Arc::new(out.finish()))
}

fn observable(list: &ArrayRef, key: &ScalarValue) -> Result<ArrayRef> {
    // A number is a type id, a text is the path that the observable was found at.
    let (column, wanted) = match key.try_as_str() {
        Some(Some(name)) => ("name", name.to_owned()),
        _ => ("type_id", key.to_string()),
    };
    let (_, keys) = items(list, column)?;
    let (list, values) = items(list, "value")?;
    let mut out = StringBuilder::new();
    for row in 0..list.len() {
        let found = range(list, row).find(|item| keys.is_valid(*item) && keys.value(*item) == wanted && values.is_valid(*item));
        out.append_option(found.map(|item| values.value(item)));
    }
    Ok(Arc::new(out.finish()))
}

/// Fields that name an entity, the best first; `user` is where an actor keeps its own.
const NAMES: [&str; 7] = ["user", "name", "hostname", "email_addr", "uid", "ip", "process"];

fn entity(parts: &[ArrayRef], rows: usize) -> ArrayRef {
    let mut candidates = Vec::new();
    parts.iter().for_each(|part| names(part, &mut candidates, 0));
    let name = |row: usize| candidates.iter().find(|names| names.is_valid(row) && !names.value(row).is_empty()).map(|names| names.value(row));
    Arc::new((0..rows).map(name).collect::<StringArray>())
}

fn names(array: &ArrayRef, out: &mut Vec<StringArray>, depth: usize) {
    if matches!(array.data_type(), DataType::Utf8 | DataType::Utf8View) {
        out.extend(cast(array, &DataType::Utf8).ok().and_then(|texts| texts.as_string_opt::<i32>().cloned()));
    } else if let Some(part) = array.as_struct_opt().filter(|_| depth < 2) {
        NAMES.iter().filter_map(|name| StructArray::column_by_name(part, name)).for_each(|field| names(field, out, depth + 1));
    }
}

fn json_get(json: &ArrayRef, path: &ScalarValue) -> Result<ArrayRef> {
    let Some(Some(path)) = path.try_as_str() else { return exec_err!("`json_get` takes a path as second argument") };
    let mut out = StringBuilder::new();
    for text in json.as_string::<i32>() {
        // The parser stops at a depth of 128 by itself.
        let value = text.and_then(|text| serde_json::from_str::<Value>(text).ok());
        let found = value.as_ref().and_then(|value| path.split('.').try_fold(value, |value, name| step(value, name)));
        out.append_option(found.and_then(|value| match value {
            Value::Null => None,
            Value::String(text) => Some(text.clone()),
            other => Some(other.to_string()),
        }));
    }
    Ok(Arc::new(out.finish()))
}

fn step<'a>(value: &'a Value, name: &str) -> Option<&'a Value> {
    match value {
        Value::Array(items) => items.get(name.parse::<usize>().ok()?),
        other => other.get(name),
    }
}

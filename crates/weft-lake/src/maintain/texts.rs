//! Texts at any depth of a batch.

use arrow::array::{Array, ArrayRef, AsArray, BooleanArray, OffsetSizeTrait};
use arrow::datatypes::DataType;
use arrow::record_batch::RecordBatch;

/// Rows that name any of these texts in any column at any depth, whatever the case of its letters.
pub(crate) fn rows_with(batch: &RecordBatch, wanted: &str) -> BooleanArray {
    let mut found = vec![false; batch.num_rows()];
    batch.columns().iter().for_each(|column| search(column, wanted.as_bytes(), &mut found));
    found.into()
}

fn search(array: &ArrayRef, wanted: &[u8], found: &mut [bool]) {
    match array.data_type() {
        DataType::Utf8 => mark(array.as_string::<i32>().iter().map(|text| text.map(str::as_bytes)), wanted, found),
        DataType::Utf8View => mark(array.as_string_view().iter().map(|text| text.map(str::as_bytes)), wanted, found),
        DataType::LargeUtf8 => mark(array.as_string::<i64>().iter().map(|text| text.map(str::as_bytes)), wanted, found),
        DataType::Binary => mark(array.as_binary::<i32>().iter(), wanted, found),
        DataType::Struct(_) => array.as_struct().columns().iter().for_each(|column| search(column, wanted, found)),
        DataType::List(_) => search_items(array.as_list::<i32>(), wanted, found),
        _ => {}
    }
}

fn search_items<O: OffsetSizeTrait>(list: &arrow::array::GenericListArray<O>, wanted: &[u8], found: &mut [bool]) {
    let mut items = vec![false; list.values().len()];
    search(list.values(), wanted, &mut items);
    for (bounds, found) in list.offsets().windows(2).zip(found) {
        let [from, to] = bounds else { continue };
        *found |= items.get(from.as_usize()..to.as_usize()).is_some_and(|items| items.contains(&true));
    }
}

fn mark<'a>(texts: impl Iterator<Item = Option<&'a [u8]>>, wanted: &[u8], found: &mut [bool]) {
    for (text, found) in texts.zip(found) {
        *found = *found || text.is_some_and(|text| contains(text, wanted));
    }
}

/// Whether the bytes stand in the text, ASCII letters of either case.
pub(crate) fn contains(text: &[u8], wanted: &[u8]) -> bool {
    let Some(first) = wanted.first() else { return false };
    let (lower, upper) = (first.to_ascii_lowercase(), first.to_ascii_uppercase());
    text.iter().enumerate().filter(|(_, byte)| **byte == lower || **byte == upper).any(|(at, _)| {
        let window = text.get(at..at.saturating_add(wanted.len()));
        window.is_some_and(|window| window.eq_ignore_ascii_case(wanted))
    })
}

/// The texts of a nested column, by its dotted path.
pub(crate) fn column(batch: &RecordBatch, path: &[&str]) -> Option<ArrayRef> {
    let (first, rest) = path.split_first()?;
    let column = batch.column_by_name(first)?.clone();
    rest.iter().try_fold(column, |array, name| array.as_struct_opt()?.column_by_name(name).cloned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn letters_of_either_case_are_the_same() {
        assert!(contains(b"mail to Ada@Example.COM today", b"ada@example.com"));
        assert!(!contains(b"ada@example.co", b"ada@example.com") && !contains(b"", b"a") && !contains(b"a", b""));
    }
}

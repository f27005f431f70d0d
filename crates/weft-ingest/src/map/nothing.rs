//! Columns that nothing was written to.

use std::sync::Arc;

use arrow::array::{Array as _, ArrayRef, new_null_array};
use arrow::datatypes::DataType;

/// Arrays without any value, one for each type: most columns of a class are empty in most batches,
/// and then are windows on these, which neither cost time nor memory.
#[derive(Debug, Default)]
pub(super) struct Nothing(Vec<ArrayRef>);

impl Nothing {
    /// `rows` nulls of a type.
    pub(super) fn of(&mut self, data_type: &DataType, rows: usize) -> ArrayRef {
        let known = self.0.iter_mut().find(|array| array.data_type() == data_type);
        match known {
            Some(array) => {
                if array.len() < rows {
                    *array = new_null_array(data_type, rows.next_power_of_two());
                }
                array.slice(0, rows)
            }
            None => {
                let array = new_null_array(data_type, rows.next_power_of_two());
                self.0.push(Arc::clone(&array));
                array.slice(0, rows)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_array_serves_all_that_are_empty() {
        let mut nothing = Nothing::default();
        for rows in [3, 1, 100, 0] {
            let array = nothing.of(&DataType::Utf8, rows);
            assert_eq!((array.len(), array.null_count(), array.data_type()), (rows, rows, &DataType::Utf8));
        }
        assert_eq!(nothing.of(&DataType::Int64, 2).data_type(), &DataType::Int64);
        assert_eq!(nothing.0.len(), 2);
    }
}

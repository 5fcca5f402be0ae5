//! Percentile and median.

/// The value that `per_cent` of all values do not exceed (nearest rank); `None` if there are none.
pub(crate) fn percentile(values: &[u32], per_cent: u32) -> Option<f64> {
    let mut sorted = values.to_vec();
    sorted.sort_unstable();
    let rank = (sorted.len() * per_cent as usize).div_ceil(100);
    sorted.get(rank.saturating_sub(1)).map(|value| f64::from(*value))
}

/// The middle one, of an even number the lower; `None` if there are none.
pub(crate) fn median(values: &[f64]) -> Option<f64> {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    sorted.get(sorted.len().saturating_sub(1) / 2).copied()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_percentile_is_one_of_the_values() {
        let hundred: Vec<u32> = (1..=100).rev().collect();
        assert_eq!(percentile(&hundred, 50), Some(50.0));
        assert_eq!(percentile(&hundred, 99), Some(99.0));
        assert_eq!(percentile(&[7], 50), Some(7.0));
        assert_eq!(percentile(&[1, 9], 99), Some(9.0));
        assert_eq!(percentile(&[], 50), None);
    }

    #[test]
    fn the_median_is_the_middle_whatever_the_order() {
        assert_eq!(median(&[3.0, 1.0, 2.0]), Some(2.0));
        assert_eq!(median(&[4.0, 1.0, 2.0, 3.0]), Some(2.0));
        assert_eq!(median(&[]), None);
    }
}

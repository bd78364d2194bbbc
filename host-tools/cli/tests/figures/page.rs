//! Pieces of a page that quote figures: `{figure}`, a whole number; `{figure:.1}`, one with so many digits behind the point;
//! `{share:*100 .1}`, one that is multiplied first.

use std::collections::BTreeMap;

/// Returns the page with the figures of `quote`, whatever numbers stood in their places. The quote must be found once.
pub fn fill(page: &str, quote: &str, values: &BTreeMap<String, f64>) -> Result<String, String> {
    let (texts, places) = parts(quote);
    let first = texts[0];
    let mut found = page.match_indices(first).filter_map(|(at, _)| {
        let end = end_of(page, at, &texts)?;
        Some((at, end))
    });
    let (Some((from, to)), None) = (found.next(), found.next()) else {
        return Err(format!("expected once, with any numbers: {quote}"));
    };
    let mut filled = page[..from].to_string() + first;
    for (place, text) in places.iter().zip(&texts[1..]) {
        filled += &number(place, values)?;
        filled += text;
    }
    Ok(filled + &page[to..])
}

/// Returns the names of the figures of a quote.
pub fn names(quote: &str) -> Vec<&str> {
    let (_, places) = parts(quote);
    let name = |place: &&str| -> usize { place.find(':').unwrap_or(place.len()) };
    places.iter().map(|place| &place[..name(place)]).collect()
}

/// Splits a quote into the texts around its places, and these.
fn parts(quote: &str) -> (Vec<&str>, Vec<&str>) {
    let (mut texts, mut places, mut rest) = (Vec::new(), Vec::new(), quote);
    while let Some((text, more)) = rest.split_once('{') {
        let (place, after) = more.split_once('}').expect("a closing brace");
        texts.push(text);
        places.push(place);
        rest = after;
    }
    texts.push(rest);
    (texts, places)
}

/// Returns where a quote ends that begins at `at`, or `None` if it is none.
fn end_of(page: &str, at: usize, texts: &[&str]) -> Option<usize> {
    let mut end = at + texts[0].len();
    for text in &texts[1..] {
        let is_number = |c: char| c.is_ascii_digit() || c == '.' || c == '-';
        let mut number = page[end..].trim_start_matches(is_number);
        // Groups of three digits are apart by a space.
        while number.starts_with(' ') && number[1..].starts_with(|c: char| c.is_ascii_digit()) {
            number = number[1..].trim_start_matches(is_number);
        }
        if number.len() == page[end..].len() || !number.starts_with(text) {
            return None;
        }
        end = page.len() - number.len() + text.len();
    }
    Some(end)
}

/// Writes a figure as its place wants it.
fn number(place: &str, values: &BTreeMap<String, f64>) -> Result<String, String> {
    let (name, form) = place.split_once(':').unwrap_or((place, ""));
    let value = values
        .get(name)
        .ok_or_else(|| format!("no figure `{name}`"))?;
    let wrong =
        || format!("`{place}`, expected {{name}}, {{name:.digits}} or {{name:*factor .digits}}");
    let (factor, digits) = match form.split_once(' ') {
        Some((factor, digits)) => (factor.strip_prefix('*').ok_or_else(wrong)?, digits),
        None => ("1", form),
    };
    let factor: f64 = factor.parse().map_err(|_| wrong())?;
    if digits.is_empty() {
        return Ok(grouped((value * factor).round() as i64));
    }
    let digits = digits
        .strip_prefix('.')
        .and_then(|digits| digits.parse().ok());
    Ok(format!("{:.*}", digits.ok_or_else(wrong)?, value * factor))
}

/// Writes a number of five digits or more in groups of three.
fn grouped(number: i64) -> String {
    let text = number.to_string();
    if text.len() < 5 {
        return text;
    }
    let mut grouped = String::new();
    for (at, digit) in text.chars().enumerate() {
        if at > 0 && (text.len() - at).is_multiple_of(3) {
            grouped.push(' ');
        }
        grouped.push(digit);
    }
    grouped
}

#[test]
fn a_quote_takes_the_places_of_whatever_numbers_stood_there() {
    let values = BTreeMap::from([("bytes".into(), 230_001.0), ("share".into(), 0.9316)]);
    let page = "| flash | 12 345 bytes |\n| right | 1 % (float 90.5 %) |\n";
    let filled = fill(page, "| flash | {bytes} bytes", &values).unwrap();
    let filled = fill(
        &filled,
        "right | {share:*100 .1} % (float {share:.3} %)",
        &values,
    )
    .unwrap();
    assert_eq!(
        filled,
        "| flash | 230 001 bytes |\n| right | 93.2 % (float 0.932 %) |\n"
    );
    assert!(fill(page, "| RAM | {bytes} bytes", &values).is_err());
    assert!(fill("| a 1 | a 2 |", "a {bytes} |", &values).is_err());
}

//! From the public header's run-together capitals to Rust names, by a word table kept by hand.

/// Every word the enum values are made of.
const WORDS: &str = "
    access account address alignment already api application apply argument attached authentication auto
    boot breaker buffer buffers busy by bytes ca calm certificate changed channel channels check circuit
    clear close closed code cold completed config connect connected connecting connection crash data
    debugger deep deliberately device disabled disconnect disconnected domain downloaded element elements
    endpoint enhance error event expired failed fault fetch fetching found handle headers http in index
    input internal interrupt invalid kernel key keys large late limited link log logging long lost many
    memory message method microvisor minimum missing modem mqtt network never no none not notification now
    nx of offline offset ok okay opaque open option other out parameter parameters password peripheral
    present publish range rate readable receive received remote request requested required reset response
    restart rtc scheme scope secret sent server set shutdown size sleep small socket space standby status
    stop store structure subscribe terminated time timeout too type unavailable unexpectedly unknown
    unsubscribe unsuccessful unsupported up update uri use used username using vector version watchdog with
    write wrong yet
";

/// Splits run-together capitals into words, longest word first; `None` if the table does not cover them.
fn split(run: &str) -> Option<Vec<String>> {
    if run.is_empty() {
        return Some(Vec::new());
    }
    let lower = run.to_lowercase();
    let mut fitting: Vec<&str> = WORDS.split_whitespace().filter(|word| lower.starts_with(word)).collect();
    fitting.sort_by_key(|word| std::cmp::Reverse(word.len()));
    let digits = lower.chars().take_while(char::is_ascii_digit).count();
    let number = (digits > 0).then(|| &lower[..digits]);
    fitting.into_iter().chain(number).find_map(|word| {
        let mut words = vec![word.to_owned()];
        words.extend(split(&run[word.len()..])?);
        Some(words)
    })
}

fn words(run: &str) -> Result<Vec<String>, String> {
    split(run).ok_or_else(|| format!("{run}: add its words to xtask/src/generate/names.rs"))
}

/// `PARAMETERFAULT` becomes `ParameterFault`; a version such as `V3_1_1` stays as it is.
pub(super) fn camel(run: &str) -> Result<String, String> {
    if is_version(run) {
        return Ok(run.to_owned());
    }
    Ok(words(run)?.iter().map(|word| capitalised(word)).collect())
}

/// `USINGNETWORK` becomes `USING_NETWORK`.
pub(super) fn constant(run: &str) -> Result<String, String> {
    Ok(words(run)?.join("_").to_uppercase())
}

fn is_version(run: &str) -> bool {
    run.strip_prefix('V').is_some_and(|rest| rest.chars().all(|c| c.is_ascii_digit() || c == '_'))
}

fn capitalised(word: &str) -> String {
    let (first, rest) = word.split_at(1);
    first.to_uppercase() + rest
}

/// `MvNetworkStatus` becomes `NetworkStatus`, `mvOpenChannel` becomes `OpenChannel`.
pub(super) fn bare(public: &str) -> &str {
    public.trim_start_matches("Mv").trim_start_matches("mv")
}

/// `notification_tag` becomes `NOTIFICATION_TAG`.
pub(super) fn upper(field: &str) -> String {
    field.to_uppercase()
}

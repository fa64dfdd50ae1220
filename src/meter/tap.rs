//! A read-only look at what passes: usage and its bill where they are stated, text where it must be estimated.

use crate::base::{Tier, Usage, Usd};
use crate::dialect::Dialect;
use crate::dialect::bill::Bill;
use crate::wire::watch::{Found, Watch};

/// About how many bytes of text a token is, where a provider states no usage.
const BYTES_PER_TOKEN: u64 = 4;

/// The state of one answer.
#[derive(Debug)]
pub struct Tap {
    dialect: Dialect,
    watch: Watch,
    usage: Usage,
    /// How often totals have been stated.
    stated: u32,
    bill: Bill,
}

impl Tap {
    /// `events`: the answer is an event stream.
    pub fn new(dialect: Dialect, events: bool) -> Self {
        Self {
            dialect,
            watch: Watch::new(events),
            usage: Usage::default(),
            stated: 0,
            bill: Bill::default(),
        }
    }

    pub fn feed(&mut self, bytes: &[u8]) {
        let (dialect, usage, stated) = (self.dialect, &mut self.usage, &mut self.stated);
        let bill = &mut self.bill;
        self.watch
            .feed(bytes, dialect.watch_spec(), |found| match found {
                Found::Object(object) => {
                    *stated += u32::from(dialect.read_usage(object, usage));
                    bill.read(dialect, object);
                }
                Found::Word(word) => bill.read_tier(word),
            });
    }

    /// The tier by which the provider says that it bills. What the request asked for is no promise.
    pub fn tier(&self) -> Tier {
        self.bill.tier.unwrap_or_default()
    }

    /// What the provider says that it has charged, in USD where it is one that does
    /// ([`Platform::states_cost`](crate::platform::Platform)).
    pub fn stated_cost(&self) -> Option<Usd> {
        self.bill.cost()
    }

    /// Has the provider stated totals?
    pub fn has_stated(&self) -> bool {
        self.stated > 0
    }

    /// The usage of an answer that has ended: as stated, else estimated from its text, which the flag tells.
    /// `whole`: it ended as it should. Where only the opening part was stated, the output is estimated. `left`: the client
    /// left it, and its input had been read for all that.
    pub fn finish(&self, whole: bool, left: bool, request_bytes: u64) -> (Usage, bool) {
        let mut usage = self.usage;
        let text = self.watch.text_bytes;
        let opening_only = self.dialect.opens_with_usage() && self.stated == 1 && !whole;
        if self.stated > 0 && !opening_only {
            return (usage, false);
        }
        let estimated_output = text.div_ceil(BYTES_PER_TOKEN);
        let mut estimated = false;
        if usage.output < estimated_output {
            usage.output = estimated_output;
            estimated = true;
        }
        if usage.input() == 0 && (estimated_output > 0 || left) {
            usage.uncached = request_bytes.div_ceil(BYTES_PER_TOKEN);
            estimated = true;
        }
        (usage, estimated)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stated_usage_is_taken_as_it_is() {
        let mut tap = Tap::new(Dialect::OpenAiChat, false);
        tap.feed(
            b"{\"choices\":[{\"message\":{\"content\":\"a long text, longer than its usage\"}}],",
        );
        tap.feed(b"\"usage\":{\"prompt_tokens\":3,\"completion_tokens\":2}}");
        let (usage, estimated) = tap.finish(true, false, 100);
        assert_eq!((usage.input(), usage.output, estimated), (3, 2, false));
    }

    #[test]
    fn a_stream_that_was_cut_is_estimated_from_its_text() {
        let mut tap = Tap::new(Dialect::Anthropic, true);
        tap.feed(b"data: {\"type\":\"message_start\",\"message\":{\"usage\":{\"input_tokens\":9,\"output_tokens\":1}}}\n\n");
        tap.feed(b"data: {\"type\":\"content_block_delta\",\"delta\":{\"type\":\"text_delta\",\"text\":\"twelve bytes\"}}\n\n");
        let (usage, estimated) = tap.finish(false, false, 100);
        assert_eq!((usage.input(), usage.output, estimated), (9, 3, true));
    }

    #[test]
    fn the_bill_is_the_providers_word_and_not_the_clients() {
        let chat = |body: &str, events| {
            let mut tap = Tap::new(Dialect::OpenAiChat, events);
            tap.feed(body.as_bytes());
            (tap.tier(), tap.stated_cost().map(|usd| usd.to_string()))
        };
        let flex = "{\"usage\":{\"prompt_tokens\":1,\"cost\":0.5},\"service_tier\":\"flex\"}";
        assert_eq!(chat(flex, false), (Tier::Flex, Some("0.5".to_owned())));
        let chunk = format!("data: {flex}\n\ndata: [DONE]\n\n");
        assert_eq!(chat(&chunk, true).0, Tier::Flex);
        assert_eq!(chat("{\"usage\":{}}", false), (Tier::Standard, None));
        let mut tap = Tap::new(Dialect::OpenAiResponses, true);
        tap.feed(
            b"data: {\"type\":\"response.created\",\"response\":{\"service_tier\":\"auto\"}}\n\n",
        );
        assert_eq!(tap.tier(), Tier::Standard);
        tap.feed(b"data: {\"type\":\"response.completed\",\"response\":{\"service_tier\":\"priority\",\"metadata\":{\"service_tier\":\"flex\"}}}\n\n");
        assert_eq!(tap.tier(), Tier::Priority);
        let mut tap = Tap::new(Dialect::OpenAiResponses, false);
        tap.feed(b"{\"service_tier\":\"default\",\"metadata\":{\"service_tier\":\"flex\"}}");
        assert_eq!(tap.tier(), Tier::Standard);
        let mut tap = Tap::new(Dialect::Gemini, true);
        tap.feed(
            b"data: {\"usageMetadata\":{\"promptTokenCount\":1,\"serviceTier\":\"flex\"}}\n\n",
        );
        assert_eq!(tap.tier(), Tier::Flex);
    }

    #[test]
    fn nothing_said_costs_nothing() {
        let tap = Tap::new(Dialect::Gemini, true);
        assert_eq!(tap.finish(false, false, 1000), (Usage::default(), false));
    }
}

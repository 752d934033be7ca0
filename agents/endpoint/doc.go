// Package endpoint is how an agent inside a sandbox reaches its model: an HTTP
// handler on the host that speaks the API of one provider, base-URL style.
//
//	inside                                   │ host
//	agent ──► http://127.0.0.1:8787/v1/… ────┼──► Endpoint ──TLS──► one upstream
//	          with the run's token           │    with the credential
//
// An [Endpoint] belongs to one run. The agent shows a token that is worth
// nothing elsewhere; the endpoint checks it, takes it out, and puts in the
// agent's credential, which is in nothing that ever goes inside: answers and
// their headers are searched for it, and an answer that refuses it is replaced.
//
// # What is let through
//
// Requests are let through by method and exact path, and only with headers of a
// short list. Bodies are bounded. A POST is for a model, unless it only counts
// tokens, and has to be a JSON object whose model can be read. A HEAD request
// may do without the token, and then carries no credential. The upstream is
// dialled directly, whatever proxy the environment names; redirects are not
// followed. What is said to the model is not looked at: a provider that fetches
// addresses or runs tools for a conversation is a way out for data.
//
// Answers are passed on as they come: a word at once, and together what comes
// while another piece is on its way. A line longer than 4 MiB is passed on
// without being looked at. An answer that is silent for ten minutes, or has not
// ended in an hour, is broken off. Two things are changed: an answer is asked for uncompressed, and a stream of Chat
// Completions is always asked for its usage; the chunk that only carries it
// goes inside if the agent asked for it too.
//
// # What is counted
//
// Tokens are those of the provider's usage fields, as soon as they come by.
// Where an answer of a model ends without any, because the agent hung up or the
// provider sends none, they are estimated, so that nobody reads for nothing: a
// token for four bytes of the request, and for each event of a stream or four
// bytes of another answer. Cost follows from the price of the model that the
// request names. Where the agent has prices and its money is bounded, a model
// without one is refused.
//
// # Budgets
//
// Before each request the budgets are looked at; if one is spent the answer is
// an error in the provider's own form that programs do not repeat. The answer
// with which a budget is crossed is finished; all others under way are cut off.
//
// # Failures
//
// What a provider refuses is told by the status and the error's type, never by
// its prose. So an account without credit is one where the provider has a type
// for it (402, billing_error, insufficient_quota), and a request that makes no
// sense where it has none: Anthropic answers with 400 and invalid_request_error,
// and says the rest in words. Neither is repeated by itself. The last failure stays until an answer of a model succeeds. A
// refusal for want of credit, or for longer than a minute, goes inside as the
// end of a budget does, and so does every request after twenty failures in a
// row: some programs would wait for hours, in the place of others.
package endpoint

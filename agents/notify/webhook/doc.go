// Package webhook tells programs what happens: each event is POSTed as a
// CloudEvents 1.0 JSON object to a URL, signed as Standard Webhooks have it.
//
// The signature is an HMAC-SHA256 over id, time and body, keyed with a secret
// that both sides know; the id is the event's and the same in a repetition, so
// that a receiver can tell one. A receiver answers with a status of 200 to 299.
// 410 says that it wants no more, 429 and 503 may say when to come again, and
// everything else is tried again.
package webhook

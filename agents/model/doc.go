// Package model is an agent of our own: a loop over the API of a model, with the
// tools of the board and a few of its own. It runs inside the sandbox.
//
//	prompt ──► ask the model ──► calls? ──yes──► carry them out, one after the other ──┐
//	               ▲               │ no                                               │
//	               │               ▼                                                  │
//	               ├────── once: "give a verdict"                                     │
//	               └──────────────────────────────────────────── no verdict yet ◄─────┘
//
// What a model says is not trusted: names, arguments, sizes and ids of its
// calls are checked before they are carried out, sent back or kept. What follows
// an answer is decided by pure functions; [Agent.Run] does it.
//
// # Conversation
//
// Every message is appended to the transcript, a JSON object a line, before the
// next request. A later attempt reads it and goes on. The file lies where the
// agent can write: it is bounded and checked, and ends where it stops making
// sense.
//
// # APIs
//
// Anthropic's Messages, and OpenAI's Chat Completions, both streamed. The few
// fields that are needed are declared here: linking the makers' modules costs
// every start of the program one and a half milliseconds and makes it more than
// twice as large. They are used by the tests, which hold each request and each
// answer against them.
package model

// Package logtest is the suite that every driver of [events.Log] must pass, a
// log that fails on demand, and made-up records to fill logs with.
package logtest

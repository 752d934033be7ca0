//go:build linux

package main

import (
	"testing"

	"github.com/hermesboard/hermes/boards/registry"
)

// TestCountGateways: a gateway is missed where a profile has boards to hold.
func TestCountGateways(t *testing.T) {
	t.Parallel()
	p := newPlace(t, nil, nil)
	count := func(home *registry.Home, wantUp, wantAll int) {
		t.Helper()
		up, all, err := countGateways(t.Context(), home)
		if err != nil || up != wantUp || all != wantAll {
			t.Errorf("got %d of %d, %v; want %d of %d", up, all, err, wantUp, wantAll)
		}
	}
	count(p.home, 0, 1)
	p.must("profile", "create", "client") // with a board of its own
	count(p.home, 0, 2)
	g := p.gateway()
	count(p.home, 1, 2)
	p.must("profile", "boards", "client", "client", "acme") // the operator's gateway has nothing to hold
	count(p.home, 1, 2)
	g.signal(15)
	g.ends(stopWithin)
	count(p.home, 0, 1)
}

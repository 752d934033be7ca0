package proxy

import (
	"slices"
	"strings"
	"sync"
)

// HostTotals is the traffic of a proxy with one host.
type HostTotals struct {
	Host     string // a name, [OtherHosts] or [MalformedHosts]
	Requests int64  // let through or refused
	Refused  int64
	BytesIn  int64 // received from the host
	BytesOut int64 // sent to the host
}

// What is counted together: hosts beyond the number that is counted one by
// one, and requests that named none.
const (
	OtherHosts     = "(others)"
	MalformedHosts = "(malformed)"
)

// maxHosts is how many hosts are counted one by one, and maxRefused how many
// of these may be there for a refusal: the inside can make names up.
const (
	maxHosts   = 100
	maxRefused = 50
)

type totals struct {
	mu      sync.Mutex
	hosts   map[string]*HostTotals // guarded by mu
	refused int                    // guarded by mu: of hosts, first seen refused
}

// count adds one decision and returns where its bytes go.
func (t *totals) count(host string, refused bool) *HostTotals {
	t.mu.Lock()
	defer t.mu.Unlock()
	h := t.hosts[host]
	if h == nil {
		special := host == MalformedHosts || host == OtherHosts
		if !special && (len(t.hosts) >= maxHosts || refused && t.refused >= maxRefused) {
			host = OtherHosts
		}
		if h = t.hosts[host]; h == nil {
			h = &HostTotals{Host: host}
			if t.hosts == nil {
				t.hosts = make(map[string]*HostTotals)
			}
			t.hosts[host] = h
			if refused {
				t.refused++
			}
		}
	}
	h.Requests++
	if refused {
		h.Refused++
	}
	return h
}

func (t *totals) add(h *HostTotals, in, out int64) {
	t.mu.Lock()
	defer t.mu.Unlock()
	h.BytesIn += in
	h.BytesOut += out
}

// list returns a copy, by name.
func (t *totals) list() []HostTotals {
	t.mu.Lock()
	defer t.mu.Unlock()
	var all []HostTotals
	for _, h := range t.hosts {
		all = append(all, *h)
	}
	slices.SortFunc(all, func(a, b HostTotals) int { return strings.Compare(a.Host, b.Host) })
	return all
}

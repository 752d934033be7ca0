package proxy

import (
	"context"
	"net/netip"
)

// special are the ranges that lead to this host, its networks, or nowhere.
var special = prefixes(
	"0.0.0.0/8", "10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "169.254.0.0/16", "172.16.0.0/12",
	"192.0.0.0/24", "192.0.2.0/24", "192.88.99.0/24", "192.168.0.0/16", "198.18.0.0/15", "198.51.100.0/24",
	"203.0.113.0/24", "224.0.0.0/4", "240.0.0.0/4",
)

// global is what of IPv6 is in use on the public network; what of it is not.
var (
	global    = netip.MustParsePrefix("2000::/3")
	notGlobal = prefixes(
		"2001::/23",     // Teredo, benchmarking, identifiers
		"2001:db8::/32", // documentation
		"2002::/16",     // 6to4: an IPv4 address in disguise
		"3fff::/20",     // documentation
	)
)

func prefixes(list ...string) []netip.Prefix {
	var all []netip.Prefix
	for _, s := range list {
		all = append(all, netip.MustParsePrefix(s))
	}
	return all
}

// public reports whether an address may be dialled. IPv4 addresses wrapped in
// IPv6 (mapped, NAT64, 6to4, Teredo) lie outside the ranges that may.
func public(a netip.Addr) bool {
	if a.Zone() != "" {
		return false
	}
	within := func(list []netip.Prefix) bool {
		for _, p := range list {
			if p.Contains(a) {
				return true
			}
		}
		return false
	}
	if a.Is4() {
		return !within(special)
	}
	return a.Is6() && global.Contains(a) && !within(notGlobal)
}

// resolve looks the host up, once, and returns where it may be dialled.
func (p *Proxy) resolve(ctx context.Context, t target) ([]netip.AddrPort, error) {
	found, err := p.opts.Resolve(ctx, t.host)
	if err != nil || len(found) == 0 {
		return nil, &failure{badGateway, "the name cannot be resolved"}
	}
	var all []netip.AddrPort
	for _, a := range found {
		// A resolver may write IPv4 the long way; that is not a disguise.
		at := netip.AddrPortFrom(a.Unmap(), uint16(t.port))
		if !public(at.Addr()) && !p.exempt(at) {
			return nil, refuse("the name leads to an address that is not public")
		}
		all = append(all, at)
	}
	return all, nil
}

func (p *Proxy) exempt(at netip.AddrPort) bool {
	for _, e := range p.opts.Exempt {
		if e == at {
			return true
		}
	}
	return false
}

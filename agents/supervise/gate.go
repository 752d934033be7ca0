package supervise

import (
	"cmp"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"math"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"

	"github.com/hermesboard/hermes/agents"
	"github.com/hermesboard/hermes/agents/endpoint"
	"github.com/hermesboard/hermes/agents/profile"
	"github.com/hermesboard/hermes/events"
	"github.com/hermesboard/hermes/sandbox/proxy"
)

// gate is the way out of an attempt's sandbox: to its model, and to the hosts
// that its agent may reach. It is the attempt's [Meter].
type gate struct {
	endpoint *endpoint.Endpoint // nil = the agent has none
	proxy    *proxy.Proxy       // nil until it serves
	token    string             // what the endpoint knows the agent by
	baseURL  string             // of the endpoint, as seen inside
	currency string
	cancel   context.CancelFunc
	serving  sync.WaitGroup
}

// needsGate reports whether anything of an agent goes out under supervision.
func needsGate(a *agents.Agent) bool { return a.Endpoint != nil || a.Terminal.Network == "proxy" }

// openGate serves the way out. In an isolating sandbox it is a socket beside
// the worker's, to which a relay carries what it gets on the sandbox's loopback;
// otherwise it is an address of this host's. The credential is held by this
// process alone.
func (r *run) openGate(ctx context.Context, isolated bool) (g *gate, err error) {
	agent := &r.spec.Agent
	ctx, cancel := context.WithCancel(context.WithoutCancel(ctx))
	g = &gate{currency: r.spec.Assignment.Policy.Currency, cancel: cancel}
	defer func() {
		if err != nil {
			g.close()
		}
	}()
	opts := proxy.Options{Allow: agent.Terminal.AllowHosts}
	if agent.Endpoint != nil {
		credential, err := Credential(agent)
		if err != nil {
			return g, err
		}
		g.token = "run-" + strings.ToLower(rand.Text())
		g.endpoint, err = endpoint.New(endpoint.Options{
			Config: *agent.Endpoint, Token: profile.NewSecret(g.token), Credential: credential,
			Budgets: func() []endpoint.Budget { return r.budgets },
		})
		if err != nil {
			return g, err
		}
		opts.Fallback = seen(r.deps.Seen, g.endpoint)
	}
	if g.proxy, err = proxy.New(opts); err != nil {
		return g, err
	}
	l, err := r.gateListener(isolated)
	if err != nil {
		return g, err
	}
	if g.baseURL = "http://" + proxy.Listen; !isolated {
		g.baseURL = "http://" + l.Addr().String()
	}
	g.serving.Go(func() {
		if err := g.proxy.Serve(ctx, l); err != nil {
			r.deps.Warn(err)
		}
	})
	return g, nil
}

func (r *run) gateListener(isolated bool) (net.Listener, error) {
	if !isolated {
		return net.Listen("tcp", "127.0.0.1:0")
	}
	return listenUnix(filepath.Join(r.spec.SocketDir, proxy.Socket))
}

// listenUnix serves a socket for this user alone.
func listenUnix(path string) (net.Listener, error) {
	if len(path) > maxSocketPath {
		return nil, fmt.Errorf("the path of the worker socket has %d bytes, at most %d work: %s", len(path), maxSocketPath, path)
	}
	if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	l, err := net.Listen("unix", path)
	if err != nil {
		return nil, err
	}
	if err := os.Chmod(path, 0o600); err != nil {
		l.Close()
		return nil, err
	}
	return l, nil
}

// close ends what is under way. What was counted can still be asked for.
func (g *gate) close() {
	g.cancel()
	g.serving.Wait()
	if g.endpoint != nil {
		g.endpoint.Close()
	}
}

// Spent implements [Meter].
func (g *gate) Spent() events.Usage {
	if g.endpoint == nil {
		return events.Usage{Source: "none"}
	}
	u := g.endpoint.Spent()
	if u.CostMicros > 0 {
		u.Currency = g.currency
	}
	return u
}

// Egress implements [Meter].
func (g *gate) Egress() (all []events.Egress) {
	if g.endpoint != nil {
		all = g.endpoint.Egress()
	}
	if g.proxy == nil {
		return all
	}
	small := func(n int64) uint32 { return uint32(min(n, math.MaxUint32)) }
	for _, h := range g.proxy.Totals() {
		all = append(all, events.Egress{Host: h.Host, Requests: small(h.Requests), Refused: small(h.Refused), BytesIn: h.BytesIn, BytesOut: h.BytesOut})
	}
	slices.SortStableFunc(all, func(a, b events.Egress) int { return cmp.Compare(a.Host, b.Host) })
	return all
}

// Failure implements [Meter].
func (g *gate) Failure() Failure {
	if g.endpoint == nil {
		return Failure{}
	}
	f := g.endpoint.Failure()
	return Failure{Outcome: f.Outcome, Reason: f.Reason, Retry: f.Retry}
}

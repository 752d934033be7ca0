package main

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"syscall"
	"time"

	"github.com/go-json-experiment/json"

	"github.com/hermesboard/hermes/agents/profile"
	"github.com/hermesboard/hermes/boards"
	"github.com/hermesboard/hermes/boards/registry"
	"github.com/hermesboard/hermes/events"
)

// gatewayInfo is what a running gateway says about itself in
// run/gateways/<pid>, which it keeps locked for as long as it lives.
type gatewayInfo struct {
	PID     int         `json:"pid"`
	Profile string      `json:"profile"`
	Only    []string    `json:"only,omitzero"`
	Backend string      `json:"backend,omitzero"`
	Version string      `json:"version"`
	Since   events.Time `json:"since"`

	gatewayState `json:",inline"`
}

// gatewayState is how a running gateway is doing, as it says in
// run/gateways/<pid>.state.
type gatewayState struct {
	Chat    *chatState    `json:"chat,omitzero"`    // nil = it has none
	Ignored *ignoredState `json:"ignored,omitzero"` // nil = it does as it is configured
}

// ignoredState says why a gateway does not do as it is configured.
type ignoredState struct {
	Since events.Time `json:"since"`
	Why   string      `json:"why"`
}

// enlisted is what the gateway of this command line says about itself.
func (x *call) enlisted(home *registry.Home) gatewayInfo {
	return gatewayInfo{PID: os.Getpid(), Profile: x.profileName(home.Dir()), Only: x.list("only"), Backend: x.str("backend"),
		Version: version(), Since: events.TimeOf(time.Now())}
}

// rivals reports whether two gateways are to hold the same boards.
func (i gatewayInfo) rivals(o gatewayInfo) bool {
	if i.Profile != o.Profile {
		return false
	}
	return len(i.Only) == 0 || len(o.Only) == 0 || slices.ContainsFunc(i.Only, func(s string) bool { return slices.Contains(o.Only, s) })
}

func gatewaysDir(home *registry.Home) string { return filepath.Join(home.RunDir(), "gateways") }

// enlistment is a gateway's entry in the list of those that run.
type enlistment struct{ f *os.File }

// enlist puts a gateway on the list. Unless it is to stand by, one that is to
// hold the same boards as another that runs is refused.
func enlist(home *registry.Home, me gatewayInfo, standby bool) (*enlistment, error) {
	dir := gatewaysDir(home)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, err
	}
	turn, err := openLocked(filepath.Join(dir, "lock"), syscall.LOCK_EX)
	if err != nil {
		return nil, err
	}
	defer turn.Close()
	running, err := gateways(home, true)
	if err != nil {
		return nil, err
	}
	for _, g := range running {
		if !standby && g.rivals(me) {
			return nil, alreadyRuns(g)
		}
	}
	b, err := json.Marshal(me)
	if err != nil {
		return nil, err
	}
	f, err := openLocked(filepath.Join(dir, strconv.Itoa(me.PID)), syscall.LOCK_EX)
	if err != nil {
		return nil, err
	}
	// On a full disk the entry stays empty: its name and its lock say enough.
	if _, err := f.WriteAt(b, 0); err != nil && !errors.Is(err, syscall.ENOSPC) && !errors.Is(err, syscall.EDQUOT) {
		return nil, errors.Join(err, os.Remove(f.Name()), f.Close())
	}
	return &enlistment{f}, nil
}

// unrivalled refuses a gateway that enlist would refuse now.
func unrivalled(home *registry.Home, me gatewayInfo, standby bool) error {
	running, err := gateways(home, false)
	if i := slices.IndexFunc(running, me.rivals); i >= 0 && !standby {
		return alreadyRuns(running[i])
	}
	return err
}

func alreadyRuns(g gatewayInfo) error {
	return &boards.Rejection{Code: "gateway_running", Detail: fmt.Sprintf("a gateway runs here already (PID %d)", g.PID),
		Hint: "hermes gateway status shows it; --standby starts another that takes over when it ends"}
}

func (e *enlistment) withdraw() {
	_ = errors.Join(os.Remove(e.f.Name()+stateSuffix), os.Remove(e.f.Name()), e.f.Close()) // what is left is removed by the next
}

const (
	stateSuffix = ".state"
	reportEvery = time.Second // how often it is looked whether the state is another
)

// report writes down how the gateway is doing whenever that is otherwise than
// before, until ctx ends. On a full disk nobody learns of it.
func (e *enlistment) report(ctx context.Context, state func() gatewayState) {
	var said []byte
	for ctx.Err() == nil {
		b, err := json.Marshal(state())
		if err == nil && !bytes.Equal(b, said) && replaceState(e.f.Name()+stateSuffix, b) == nil {
			said = b
		}
		pause(ctx, reportEvery)
	}
}

func replaceState(path string, b []byte) error {
	err := os.WriteFile(path+".new", b, 0o600)
	if err == nil {
		err = os.Rename(path+".new", path)
	}
	if err != nil {
		os.Remove(path + ".new") // what there is of it is of no use
	}
	return err
}

// state is how this gateway is doing.
func (g *gateway) state() gatewayState {
	v := g.as.latest.Load().voice
	s := gatewayState{Chat: v.bot.state()}
	if s.Chat != nil {
		s.Chat.Token = v.as.Config.Telegram.TokenName()
	}
	if i := cmp.Or(g.as.ignored.Load(), g.deaf.Load()); i != nil {
		s.Ignored = &ignoredState{events.TimeOf(i.since), i.err.Error()}
	}
	return s
}

// openLocked opens or makes a file and waits for its lock.
func openLocked(path string, how int) (*os.File, error) {
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, err
	}
	for {
		err := syscall.Flock(int(f.Fd()), how)
		if err == nil {
			return f, nil
		}
		if err != syscall.EINTR {
			f.Close()
			return nil, fmt.Errorf("lock %s: %w", path, err)
		}
	}
}

// gateways lists those that run in a home, the oldest first. tidy removes the
// entries of those that are gone; only who holds the list's lock may do so.
func gateways(home *registry.Home, tidy bool) ([]gatewayInfo, error) {
	entries, err := os.ReadDir(gatewaysDir(home))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	} else if err != nil {
		return nil, err
	}
	var out []gatewayInfo
	for _, e := range entries {
		pid, err := strconv.Atoi(e.Name())
		if err != nil {
			continue
		}
		info, alive, err := readGateway(home, pid)
		if err != nil {
			return nil, err
		}
		if alive {
			out = append(out, info)
		} else if tidy {
			path := filepath.Join(gatewaysDir(home), e.Name())
			_ = errors.Join(os.Remove(path+stateSuffix), os.Remove(path)) // the first may not be there
		}
	}
	slices.SortFunc(out, func(a, b gatewayInfo) int { return cmp.Or(cmp.Compare(a.Since, b.Since), cmp.Compare(a.PID, b.PID)) })
	return out, nil
}

// countGateways counts the gateways that run in a home, of those that run or
// should: one for each profile that has boards to hold.
func countGateways(ctx context.Context, home *registry.Home) (up, all int, err error) {
	entries, err := home.List(ctx)
	if err != nil {
		return 0, 0, err
	}
	running, err := gateways(home, false)
	if err != nil {
		return 0, 0, err
	}
	names, err := profile.List(home.Dir())
	if err != nil {
		return 0, 0, err
	}
	for _, name := range names {
		runs := slices.ContainsFunc(running, func(g gatewayInfo) bool { return g.Profile == name })
		p, err := profile.Load(home.Dir(), name)
		if err != nil && !runs { // nobody can tell what it should hold
			continue
		}
		if runs {
			up++
		}
		if runs || slices.ContainsFunc(entries, func(e registry.Entry) bool { return e.State != registry.Archived && p.Holds(home.Dir())(e.Slug) }) {
			all++
		}
	}
	return up, all, nil
}

// readGateway reads an entry; it is that of a live gateway if it is locked and
// its process exists.
func readGateway(home *registry.Home, pid int) (info gatewayInfo, alive bool, err error) {
	f, err := os.Open(filepath.Join(gatewaysDir(home), strconv.Itoa(pid)))
	if errors.Is(err, fs.ErrNotExist) {
		return info, false, nil
	} else if err != nil {
		return info, false, err
	}
	defer f.Close()
	if syscall.Flock(int(f.Fd()), syscall.LOCK_SH|syscall.LOCK_NB) == nil {
		return info, false, nil
	}
	if err := json.UnmarshalRead(f, &info); err != nil {
		info = gatewayInfo{Profile: "default"} // just being written, or the disk is full
	}
	info.PID = pid
	if b, err := os.ReadFile(f.Name() + stateSuffix); err == nil {
		_ = json.Unmarshal(b, &info.gatewayState) // of a newer gateway, perhaps
	}
	// A child that a killed gateway was just starting has the lock a moment longer.
	return info, !errors.Is(syscall.Kill(pid, 0), syscall.ESRCH), nil
}

// gatewayAlive reports whether the gateway of that pid is on the list.
func gatewayAlive(home *registry.Home, pid int) bool {
	_, alive, err := readGateway(home, pid)
	return err == nil && alive
}

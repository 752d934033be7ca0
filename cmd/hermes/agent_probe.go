package main

import (
	"bytes"
	"context"
	"io"
	"io/fs"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/urfave/cli/v2"
)

// agentProbeVerb is run inside a sandbox in place of its agent, and says what
// an agent could find there.
func agentProbeVerb(env Env) *cli.Command {
	c := verb(env, "probe", "", "look around in a sandbox; started by agent check", "", []cli.Flag{
		str("needle", "", "a text to look for, written backwards"),
		list("url", "", "an address to ask for"),
	}, runAgentProbe)
	c.Hidden = true
	return c
}

// probed is what was found.
type probed struct {
	Found   []string          `json:"found"` // where the text is
	Looked  int               `json:"looked"`
	Answers map[string]string `json:"answers"` // by address; "refused" or what was answered
}

const probeMark = "probed: "

// Bounds of the search: a mounted folder can be anything.
const (
	probeFiles = 20_000
	probeBytes = 1 << 20 // of one file
)

func runAgentProbe(ctx context.Context, x *call) error {
	p := probed{Answers: map[string]string{}}
	backwards := []byte(x.str("needle"))
	slices.Reverse(backwards)
	p.processes(backwards)
	p.files(backwards)
	for _, address := range x.list("url") {
		p.Answers[address] = askFor(ctx, address)
	}
	b, err := json.Marshal(p, json.Deterministic(true))
	if err != nil {
		return err
	}
	_, err = io.WriteString(x.Stdout, probeMark+string(b)+"\n")
	return err
}

// processes looks into the environment and the arguments of every process.
func (p *probed) processes(needle []byte) {
	for _, pattern := range []string{"/proc/[0-9]*/environ", "/proc/[0-9]*/cmdline"} {
		names, _ := filepath.Glob(pattern)
		for _, name := range names {
			p.look(name, needle)
		}
	}
}

// files looks into everything but the system.
func (p *probed) files(needle []byte) {
	skip := []string{"/proc", "/sys", "/dev", "/usr", "/bin", "/sbin", "/lib", "/lib64"}
	filepath.WalkDir("/", func(path string, d fs.DirEntry, err error) error {
		switch {
		case p.Looked > probeFiles:
			return fs.SkipAll
		case err != nil:
			if d != nil && d.IsDir() {
				return fs.SkipDir
			}
		case d.IsDir() && slices.Contains(skip, path):
			return fs.SkipDir
		case d.Type().IsRegular():
			p.look(path, needle)
		}
		return nil
	})
}

func (p *probed) look(name string, needle []byte) {
	f, err := os.Open(name)
	if err != nil {
		return
	}
	defer f.Close()
	p.Looked++
	b, _ := io.ReadAll(io.LimitReader(f, probeBytes))
	if len(needle) > 0 && bytes.Contains(b, needle) {
		p.Found = append(p.Found, name)
	}
}

// askFor asks for an address as any program would, and past the proxy.
func askFor(ctx context.Context, address string) string {
	for _, proxy := range []func(*http.Request) (*url.URL, error){http.ProxyFromEnvironment, nil} {
		client := &http.Client{Timeout: 5 * time.Second, Transport: &http.Transport{Proxy: proxy, DisableKeepAlives: true}}
		req, err := http.NewRequestWithContext(ctx, http.MethodPost, address, strings.NewReader(`{"model":"`+os.Getenv("HERMES_MODEL")+`"}`))
		if err != nil {
			return err.Error()
		}
		req.Header.Set("Content-Type", "application/json")
		if token := os.Getenv("HERMES_MODEL_TOKEN"); token != "" && strings.HasPrefix(address, os.Getenv("HERMES_MODEL_URL")) {
			req.Header.Set("Authorization", "Bearer "+token)
			req.Header.Set("X-Api-Key", token)
		}
		resp, err := client.Do(req)
		if err != nil {
			continue
		}
		body, _ := io.ReadAll(io.LimitReader(resp.Body, 4<<10))
		resp.Body.Close()
		if !bytes.Contains(body, []byte("hermes: ")) || bytes.Contains(body, []byte("hermes: the upstream")) {
			return resp.Status
		}
	}
	return refusedAnswer
}

const refusedAnswer = "refused"

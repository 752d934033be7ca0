package api

import (
	"os"
	"strings"
	"testing"

	"github.com/goccy/go-yaml"
	"github.com/google/go-cmp/cmp"
)

func TestWrittenContractIsTheServers(t *testing.T) {
	b, err := os.ReadFile("openapi.yaml")
	if err != nil {
		t.Fatal(err)
	}
	var doc struct {
		Paths map[string]map[string]struct {
			Summary   string         `yaml:"summary"`
			Door      string         `yaml:"x-door"`
			Responses map[string]any `yaml:"responses"`
		} `yaml:"paths"`
		Components struct {
			Responses map[string]struct {
				Codes map[string]int `yaml:"x-codes"`
			} `yaml:"responses"`
		} `yaml:"components"`
	}
	if err := yaml.Unmarshal(b, &doc); err != nil {
		t.Fatal(err)
	}
	written, served := map[string]string{}, map[string]string{}
	for path, methods := range doc.Paths {
		for method, op := range methods {
			written[path] = strings.ToUpper(method) + " " + op.Door
			if op.Summary == "" || op.Responses["200"] == nil {
				t.Errorf("%s: got no summary or no answer", path)
			}
		}
	}
	doors := map[doorKind]string{noDoor: "", boardDoor: "board", runDoor: "run"}
	for path, r := range routes {
		served[path] = r.method + " " + doors[r.door]
	}
	if d := cmp.Diff(served, written); d != "" {
		t.Errorf("served -, written +:\n%s", d)
	}
	if d := cmp.Diff(statuses, doc.Components.Responses["Error"].Codes); d != "" {
		t.Errorf("served -, written +:\n%s", d)
	}
}

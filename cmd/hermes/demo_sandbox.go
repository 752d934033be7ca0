package main

import (
	"context"
	"fmt"
	"path/filepath"
	"strings"

	"github.com/goccy/go-yaml"

	"github.com/hermesboard/hermes/boards"
	"github.com/hermesboard/hermes/sandbox"
)

// sandbox chooses the backend: what was asked for, else one that isolates and
// works here, else none, with a plain word about it.
func (d *demo) sandbox(ctx context.Context) error {
	if err := d.settings(); err != nil {
		return err
	}
	boxes, err := sandboxes()
	if err != nil {
		return err
	}
	var box *sandbox.Sandbox
	if name := d.str("backend"); name != "" {
		box, err = d.asked(ctx, boxes, name)
	} else if box, err = d.found(ctx, boxes); err == nil {
		_, err = box.With(d.set.Settings())
	}
	if err != nil {
		return err
	}
	d.set.Backend = box.Name()
	if w := warning(box.Name()); w != "" {
		d.say("warning: sandbox %s: %s", box.Name(), w)
	} else if !d.json() {
		fmt.Fprintln(d.Stdout, d.fit(fmt.Sprintf("sandbox       %s: %s", box.Name(), box.Capabilities())))
	}
	return nil
}

// settings reads what --set says.
func (d *demo) settings() error {
	var lines strings.Builder
	for _, s := range d.list("set") {
		key, value, ok := strings.Cut(s, "=")
		if !ok {
			return usagef("--set is KEY=VALUE, not %q", s)
		}
		if rest, ok := strings.CutPrefix(value, "~/"); ok {
			value = filepath.Join(d.Getenv("HOME"), rest)
		}
		fmt.Fprintf(&lines, "%s: %s\n", strings.TrimPrefix(key, "terminal."), value)
	}
	if err := yaml.UnmarshalWithOptions([]byte(lines.String()), &d.set, yaml.Strict()); err != nil {
		return &usageError{msg: fmt.Sprintf("--set: %s", line(yaml.FormatError(err, false, false))), hint: "hermes sandbox list names the keys of each backend"}
	}
	return nil
}

// asked is the backend with that name, if it works here.
func (d *demo) asked(ctx context.Context, boxes *sandbox.Registry, name string) (*sandbox.Sandbox, error) {
	box, err := boxes.Open(name, d.set.Settings())
	if err != nil || warning(name) != "" { // without isolation there is nothing to try
		return box, err
	}
	if report := box.Probe(ctx); !report.Available {
		return nil, &boards.Rejection{Code: "sandbox_gap", Detail: fmt.Sprintf("sandbox %s does not work here: %s", box.Name(), report.Reason), Hint: "hermes sandbox list shows what does"}
	}
	return box, nil
}

// found is the first backend that isolates, or the one that does not.
func (d *demo) found(ctx context.Context, boxes *sandbox.Registry) (*sandbox.Sandbox, error) {
	box, why := standardBox(ctx, boxes)
	for _, err := range why {
		d.say("%s", line(err.Error()))
	}
	if box != nil {
		return box, nil
	}
	return boxes.Get("local")
}

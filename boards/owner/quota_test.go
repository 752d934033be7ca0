package owner

import (
	"errors"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/hermesboard/hermes/boards"
	"github.com/hermesboard/hermes/boards/registry"
	"github.com/hermesboard/hermes/events"
)

// TestQuota: the policy's quota closes the intake before the file is full, so
// that what is under way can still be ended; a higher one opens it again.
func TestQuota(t *testing.T) {
	home, err := registry.OpenHome(filepath.Join(t.TempDir(), "home"), &registry.HomeOptions{TempDir: t.TempDir(), Version: "1"})
	if err != nil {
		t.Fatal(err)
	}
	policy := events.DefaultPolicy(2)
	policy.MaxBytes = 32 << 20
	o, err := Create(t.Context(), home, "acme", "Acme", policy, kai, Options{}, &registry.HoldOptions{})
	if err != nil {
		t.Fatal(err)
	}
	defer closeOwner(t, o)
	big := boards.CreateTasks{Tasks: []boards.NewTask{{Title: "big", Body: strings.Repeat("x", 190<<10)}}}
	full := &boards.Rejection{Code: boards.CodeFull}
	refused := false
	for i := 0; i < 400 && !refused; i++ {
		lookAgain(o)
		_, err := o.Do(t.Context(), kai, NewCommandID(), big)
		if refused = errors.Is(err, full); err != nil && !refused {
			t.Fatal(err)
		}
	}
	if !refused {
		t.Fatal("400 large tasks were taken, want the intake to close")
	}
	if _, err := o.Do(t.Context(), kai, NewCommandID(), boards.CompleteTask{Task: 1}); err != nil {
		t.Errorf("an end while the intake is closed: %v", err)
	}
	policy.MaxBytes = 0
	if _, err := o.Do(t.Context(), kai, NewCommandID(), boards.SetPolicy{Policy: policy}); err != nil {
		t.Fatal(err)
	}
	lookAgain(o)
	if _, err := o.Do(t.Context(), kai, NewCommandID(), big); err != nil {
		t.Errorf("without a quota: %v", err)
	}
}

// lookAgain lets the next command see how full the file is; otherwise that is
// looked at once a second.
func lookAgain(o *Owner) {
	o.space.mu.Lock()
	defer o.space.mu.Unlock()
	o.space.asked, o.space.reopen = time.Time{}, time.Time{}
}

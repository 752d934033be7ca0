package dispatcher

import (
	"os"
	"os/exec"
	"testing"
	"time"
)

func TestSlots(t *testing.T) {
	dir := t.TempDir() + "/run/slots"
	a, err := OpenSlots(dir, 2)
	if err != nil {
		t.Fatal(err)
	}
	b, err := OpenSlots(dir, 2)
	if err != nil {
		t.Fatal(err)
	}
	take := func(s *Slots, who string) *os.File {
		f, err := s.Take(who)
		if err != nil {
			t.Fatal(err)
		}
		return f
	}
	one, two := take(a, "acme t1"), take(b, "beta t2")
	if one == nil || two == nil || take(a, "acme t3") != nil {
		t.Fatal("two slots are not two")
	}
	state, err := b.Probe()
	if err != nil || state.Free != 0 || state.Total != 2 || len(state.Held) != 2 || state.Held[0] != (SlotHolder{1, "acme t1"}) || state.Held[1] != (SlotHolder{2, "beta t2"}) {
		t.Fatalf("got %+v %v", state, err)
	}
	one.Close()
	if state, _ = a.Probe(); state.Free != 1 {
		t.Errorf("got %+v, want one free", state)
	}
	again := take(b, "x")
	if again == nil {
		t.Fatal("a slot given back cannot be taken")
	}
	again.Close()
	two.Close()
	if _, err := OpenSlots(dir, 0); err == nil {
		t.Error("no slots at all were accepted")
	}
}

// A slot belongs to whoever has a copy of its descriptor, and is free when the
// last of them dies, however it dies.
func TestSlotLivesAndDiesWithAProcess(t *testing.T) {
	s, err := OpenSlots(t.TempDir(), 1)
	if err != nil {
		t.Fatal(err)
	}
	slot, err := s.Take("child")
	if err != nil {
		t.Fatal(err)
	}
	child := exec.Command("sleep", "60")
	child.ExtraFiles = []*os.File{slot}
	if err := child.Start(); err != nil {
		t.Fatal(err)
	}
	slot.Close()
	if state, err := s.Probe(); err != nil || state.Free != 0 {
		t.Errorf("got %+v %v, want the child to hold the slot", state, err)
	}
	if err := child.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = child.Wait()
	deadline := time.Now().Add(5 * time.Second)
	for {
		state, err := s.Probe()
		if err != nil {
			t.Fatal(err)
		}
		if state.Free == 1 {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("got %+v after the child was killed", state)
		}
	}
}

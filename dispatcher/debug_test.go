package dispatcher
import ("fmt";"testing";"testing/synctest";"os")
func TestDebug(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSim(t, *simSeed, mutant{}, simPolicy)
		s.mu.Lock(); s.trouble(); s.people(); s.mu.Unlock()
		s.drive(s.begun.Add(simTime))
		if s.failed == "" { s.calm(); s.drive(s.begun.Add(simTime + calmTime)); s.over_() }
		fmt.Println(s.failed)
		for _, r := range s.log.records {
			if fmt.Sprint(r.Task) == os.Getenv("TASK") || r.Task == 0 { fmt.Printf("%d %v %v %v %+v\n", r.Seq, r.Time, r.Run, r.Actor.Kind, r.Data) }
		}
		for run, tr := range s.trees { if fmt.Sprint(run.Task) == os.Getenv("TASK") { fmt.Printf("%v %+v\nnow skew %v wall %v started %v renewed %v signed %v gate since %v\n", run, *tr, s.skew.Load(), s.wall(), tr.since, tr.renewed, tr.signed, s.gate.since)} }
		s.end()
	})
}

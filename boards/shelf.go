package boards

import (
	"iter"

	"github.com/hermesboard/hermes/events"
)

// pageTasks is how many tasks are allocated together.
const pageTasks = 512

// shelf holds the tasks by id, from 1. It grows by pages: a large board does
// not stand still while all its tasks are copied to where there is more room.
type shelf struct {
	pages [][]task // all full but the last
	n     int
}

// add puts a task behind the last one.
func (s *shelf) add(t task) {
	last := s.n / pageTasks
	if last == len(s.pages) {
		var page []task // the first grows: most boards are small
		if last > 0 {
			page = make([]task, 0, pageTasks)
		}
		s.pages = append(s.pages, page)
	}
	s.pages[last] = append(s.pages[last], t)
	s.n++
}

// at returns the task with an id that is there.
func (s *shelf) at(id events.TaskID) *task {
	i := uint(id) - 1
	return &s.pages[i/pageTasks][i%pageTasks]
}

// all goes over the tasks in the order of their ids.
func (s *shelf) all() iter.Seq2[events.TaskID, *task] {
	return func(yield func(events.TaskID, *task) bool) {
		id := events.TaskID(1)
		for _, page := range s.pages {
			for i := range page {
				if !yield(id, &page[i]) {
					return
				}
				id++
			}
		}
	}
}

// Package recipe turns a pipeline written as YAML into tasks.
//
// A recipe has inputs and roles. A role is one task, a number of tasks (count),
// or one for each item of a list (each); its tasks wait for all tasks of the
// roles named in after. A role with "by" is not made at once: the run of that
// other role makes its tasks, from the same recipe and inputs, as many and
// worded as it has found fit.
//
// Text holds {{name}} where an input goes, and {{number}}, {{count}} and
// {{item}} for the task's place among its likes. There is nothing else to it:
// no conditions, no expressions, and what an input says is never read as a
// template.
package recipe

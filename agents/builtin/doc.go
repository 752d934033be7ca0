// Package builtin does the text work of the agents that come with Hermes and need no model and no network: an
// orchestrator that divides a folder of documents, researchers that find and quote the passages which answer a
// topic, and a writer that merges their notes into a brief with references.
//
// The way of a brief:
//
//	Load      fs.FS            -> Corpus        reads documents, within limits
//	Plan      topic, Corpus, n -> []Assignment  divides the documents over n researchers
//	Research  Task, Corpus     -> Notes         ranks passages, takes quotes
//	Write     topic, []Notes   -> brief.md      merges notes, cites file and line
//	Check     brief.md, fs.FS  -> Report        reads every quote again at the place cited
//
// Nothing is invented: each statement of a brief is a quote from a document, with Markdown marks dropped in the
// text and kept in the list of sources. Check shares no state with Write and believes nothing: it parses the
// brief and reads the files anew.
//
// A quote equals its place in the file after each run of white space, line ends included, is taken as one space.
// A line ends at "\n" or "\r\n"; lines count from 1. A quote begins on the first line cited and ends on the last.
//
// Passages are ranked with BM25 (S. Robertson, H. Zaragoza: The Probabilistic Relevance Framework: BM25 and
// Beyond, 2009), headings counting as a weighted field, and thinned with maximal marginal relevance
// (J. Carbonell, J. Goldstein, 1998).
//
// All functions are deterministic: no clock, no randomness, no files but those of the fs.FS passed in. They are
// safe for concurrent use; a Corpus is read-only once loaded. Documents, file names and notes are treated as
// hostile: they are bounded, escaped where printed, and never followed out of the folder.
package builtin

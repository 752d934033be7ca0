package builtin

import "strings"

// language of a document or topic, as far as stemming and stop words go.
type language int

const (
	english language = iota
	german
)

// stem reduces a word in lower case to a form that its common inflections share. It is light on purpose: it undoes
// plurals and the regular endings and leaves derivations alone.
func stem(lang language, w string) string {
	if lang == german {
		return stemGerman(w)
	}
	return stemEnglish(w)
}

func stemEnglish(w string) string {
	w = strings.TrimSuffix(w, "'s")
	if len(w) < 4 {
		return w
	}
	switch {
	case strings.HasSuffix(w, "ies"):
		w = w[:len(w)-3] + "y"
	case strings.HasSuffix(w, "sses"), strings.HasSuffix(w, "xes"), strings.HasSuffix(w, "shes"), strings.HasSuffix(w, "ches"):
		w = w[:len(w)-2]
	case strings.HasSuffix(w, "ss"), strings.HasSuffix(w, "us"), strings.HasSuffix(w, "is"):
	case strings.HasSuffix(w, "s"):
		w = w[:len(w)-1]
	}
	for _, end := range []string{"ingly", "edly", "ing", "ed"} {
		if base, ok := strings.CutSuffix(w, end); ok && len(base) >= 3 && strings.ContainsAny(base, "aeiouy") {
			w = undouble(base)
			break
		}
	}
	// A silent e and y/i differ between forms: claim, claimed; store, stored; copy, copied.
	if len(w) > 3 {
		w = strings.TrimSuffix(w, "e")
	}
	if n := len(w); n > 3 && w[n-1] == 'i' {
		w = w[:n-1] + "y"
	}
	return w
}

// undouble takes back the doubled consonant of "planned" and "running", not that of "called" or "passed".
func undouble(w string) string {
	n := len(w)
	if n > 3 && w[n-1] == w[n-2] && strings.IndexByte("bdgkmnprt", w[n-1]) >= 0 {
		return w[:n-1]
	}
	return w
}

var foldGerman = strings.NewReplacer("ä", "a", "ö", "o", "ü", "u", "ß", "ss")

func stemGerman(w string) string {
	w = foldGerman.Replace(w)
	for _, end := range []string{"ern", "est", "em", "en", "er", "es", "st", "e", "n", "s", "t"} {
		if base, ok := strings.CutSuffix(w, end); ok && len(base) >= 4 && !(end == "t" && base[len(base)-1] == 't') {
			return base
		}
	}
	return w
}

// languageOf counts stop words that only one of the two languages has.
func languageOf(text string) language {
	var en, de int
	eachWord(text, func(w string) {
		switch {
		case onlyGerman()[w]:
			de++
		case onlyEnglish()[w]:
			en++
		}
	})
	if de > en {
		return german
	}
	return english
}

var onlyEnglish = set(`the of and to is that it for with as be are this by from or not which what how when where`)
var onlyGerman = set(`der die das und ist ein eine einer den dem des mit von zu nicht auf wird für sich auch wie wo wann`)

// stopWords carry no topic, in either language. Words common to every technical text are among them.
var stopWords = set(`
	a about above across after again against all almost alone along already also although always am among an and another
	any anyone anything are around as at away back be became because become becomes been before being below between
	beyond both but by came can cannot could did do does doing done down during each either else enough etc even ever
	every everyone everything few first following for from full further gave get gets give given gives go goes going gone
	good got had has have having he hence her here hers herself him himself his how however i if in instead into is it its
	itself just keep keeps kept know known last later least less let lets like long look made make makes making many may
	maybe me mean means might mine more most much must my myself near need needed needs neither never new next no nobody
	none nor not nothing now of off often old on once one ones only onto or other others otherwise our ours out over own
	part per perhaps please put puts quite rather really said same say says second see seem seems seen set several shall
	she should since so some someone something soon still such take taken takes than that the their theirs them
	themselves then there therefore these they thing things this those though three through thus till to together too
	toward two under unless until up upon us use used useful uses using usually very via want wants was way we well went
	were what whatever when where whether which while who whole whom whose why will with within without would yes yet you
	your yours yourself don doesn didn isn aren wasn won ll ve re able actually different example examples kind lot
	simply sure bit right left http https www com org html
	aber alle allem allen aller alles als also am an ander andere anderem anderen anderer anderes anders auch auf aus bei
	beim bereits bin bis bist da dabei dadurch dafür dagegen daher damit danach dann daran darauf daraus darf das dass
	davon dazu dein dem den denn der deren des dessen dich die dies diese diesem diesen dieser dieses dir doch dort du
	durch eben ein eine einem einen einer eines einige einmal er es etwa etwas euch euer für gegen gibt hab habe haben hat
	hatte hatten hier hin hinter ich ihm ihn ihnen ihr ihre ihrem ihren ihrer immer in indem ins ist ja jede jedem jeden
	jeder jedes jetzt kann kannst kein keine keinem keinen keiner können könnte mal man manche mehr mein mich mir mit muss
	müssen nach nicht nichts noch nun nur ob oder ohne schon sehr sein seine seinem seinen seiner seit selbst sich sie
	sind so sofern solche soll sollen sollte sondern sonst sowie über um und uns unser unter viel viele vom von vor wann
	war waren warum was weder weil weiter welche welchem welchen welcher welches wenn wer werden wie wieder will wir wird
	wo wurde wurden zu zum zur zwar zwischen`)

// requestWords open a topic that is phrased as an order ("Brief on …", "Write a summary of …").
var requestWords = set(`
	brief briefing summary summarise summarize overview describe explain report research write prepare give tell show
	find investigate analyse analyze review document note notes collect gather make create draft produce read
	überblick zusammenfassung zusammenfassen fasse zusammen bericht beschreibe erkläre schreibe recherchiere finde zeige
	kurzbericht`)

// collectionWords name the folder itself rather than something in it.
var collectionWords = set(`
	repository repo repositories project projects folder folders directory document documents documentation docs file files
	collection code codebase text texts content contents
	projekt ordner verzeichnis dokument dokumente dokumentation sammlung dateien texte inhalt`)

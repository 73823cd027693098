package config

import (
	"fmt"
	"slices"
	"strings"
)

// maxMembers bounds what may be added to a message: each member is paid for with
// each event.
const maxMembers = 20

// constantPrefix begins the word for a constant text.
const constantPrefix = "text:"

// FieldWords returns what a member of cloudwatch.fields may hold; the last one
// is followed by a text.
func FieldWords() []string {
	return []string{"tenant", "type_title", "category", "severity", "source", constantPrefix}
}

// ReservedMembers returns the names by which an event is read. A member that is added
// under one of them would make another event of the message.
func ReservedMembers() []string {
	return []string{"_id", "data", "date", "detail", "detail-type", "details", "gapless", "log_id", "logs", "type"}
}

// checkShape checks what is added to messages. path ends with a dot.
func (l *loader) checkShape(path string, cw *CloudWatch) {
	l.checkMembers(path+"fields", cw.Fields)
	l.checkMembers(path+"copy", cw.Copy)
	for _, name := range sortedKeys(cw.Fields) {
		word := cw.Fields[name]
		if !slices.Contains(FieldWords()[:len(FieldWords())-1], word) && !strings.HasPrefix(word, constantPrefix) {
			fix := "Use one of: " + strings.Join(FieldWords(), ", ") + " (with a text behind it)."
			if best := nearest(word, FieldWords()); best != "" {
				fix = "Did you mean " + best + "? " + fix
			}
			l.complain(path+"fields."+name, quote(word)+" is not what a field can hold", fix)
		}
	}
	for _, name := range sortedKeys(cw.Copy) {
		if _, twice := cw.Fields[name]; twice {
			l.complain(path+"copy."+name, "is in fields too", "Give one of them another name.")
		}
		if !matches(`^[A-Za-z0-9$_-]+(\.[A-Za-z0-9$_-]+){0,15}$`, cw.Copy[name]) {
			l.complain(path+"copy."+name, quote(cw.Copy[name])+" is not a path", "Write it like details.request.ip, with numbers for the places in a list.")
		}
	}
}

// checkMembers checks the names of members that are added.
func (l *loader) checkMembers(path string, members map[string]string) {
	if len(members) > maxMembers {
		l.complain(path, fmt.Sprintf("has %d members; %d are the most", len(members), maxMembers), "Remove some.")
	}
	for _, name := range sortedKeys(members) {
		switch {
		case !matches(`^[A-Za-z0-9._-]{1,64}$`, name):
			l.complain(path+"."+name, "has a name that it cannot have", "Use 1 to 64 letters, digits and '.', '_', '-'.")
		case slices.Contains(ReservedMembers(), name):
			l.complain(path+"."+name, "has a name by which events are read", "Choose another, such as "+strings.TrimLeft(name, "_")+"_copy.")
		}
	}
}

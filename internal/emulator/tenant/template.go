package tenant

import (
	_ "embed"
	"fmt"
	"strings"

	"github.com/gaplesslogs/gapless/internal/event"
)

//go:embed templates.txt
var templateText string

// group names members that belong together, in the words of templates.txt.
type group uint32

// The groups.
const (
	withConnection   group = 1 << iota // connection, connection_id
	withNoConnection                   // connection_id, empty
	withClient                         // client_id, client_name of an application that people use
	withService                        // the same of one that acts on its own
	withIP                             // ip
	withClientIP                       // client_ip, which is null
	withAgent                          // user_agent of a browser
	withPlainAgent                     // user_agent of software
	withHostname                       // hostname
	withUser                           // user_id, user_name
	withUserOnly                       // user_id
	withUnknownUser                    // user_id, empty, and user_name
	withNoUser                         // both empty
	withAdmin                          // user_id of an administrator
	withStrategy                       // strategy, strategy_type
	withOrganization                   // organization_id, organization_name
	withAudience                       // audience
	withScope                          // scope
	withManyScopes                     // scope with all that there are
	withSDK                            // auth0_client
	withTLS                            // security_context
	withNone                           // nothing but type, date, description and ids
)

var groupNames = map[string]group{
	"connection": withConnection, "noconnection": withNoConnection, "client": withClient, "service": withService,
	"ip": withIP, "client_ip": withClientIP, "agent": withAgent, "plainagent": withPlainAgent, "hostname": withHostname,
	"user": withUser, "useronly": withUserOnly, "unknownuser": withUnknownUser, "nouser": withNoUser, "admin": withAdmin,
	"strategy": withStrategy, "organization": withOrganization, "audience": withAudience, "scope": withScope,
	"manyscopes": withManyScopes, "sdk": withSDK, "tls": withTLS, "none": withNone,
}

// template is one form that the events of a code take.
type template struct {
	code        string
	title       string
	description []piece
	with        group
	details     []piece // nil: the event has no details
}

// book holds the templates of every code of the catalogue.
type book struct {
	codes   []string
	byCode  map[string][]*template
	unknown *template
}

// newBook reads templates.txt. An error means that the file is wrong, which a
// test would have told.
func newBook() (*book, error) {
	read, err := readTemplates(templateText)
	if err != nil {
		return nil, fmt.Errorf("read event templates: %w", err)
	}
	b := &book{byCode: make(map[string][]*template)}
	for _, t := range event.Types() {
		forms := read[t.Code]
		if forms == nil {
			forms = read["@"+t.Category]
		}
		if forms == nil {
			return nil, fmt.Errorf("read event templates: no form for %q of category %q", t.Code, t.Category)
		}
		for _, form := range forms {
			own := *form
			own.code, own.title = t.Code, t.Title
			b.byCode[t.Code] = append(b.byCode[t.Code], &own)
		}
		b.codes = append(b.codes, t.Code)
	}
	unknown := *read["@"][0]
	unknown.code, unknown.title = "brand_new_code", "A type that no catalogue knows"
	b.unknown = &unknown
	return b, nil
}

// readTemplates returns the templates by code, or by "@" and category.
func readTemplates(text string) (map[string][]*template, error) {
	templates := make(map[string][]*template)
	var t *template
	n := 0
	for line := range strings.Lines(text) {
		n++
		line = strings.TrimRight(line, "\n")
		var err error
		switch {
		case line == "" || strings.HasPrefix(line, "#"):
		case !strings.HasPrefix(line, " "):
			code, description, ok := strings.Cut(line, ":")
			if !ok {
				return nil, fmt.Errorf("line %d: no colon", n)
			}
			t = &template{code: code}
			t.description, err = compile(string(appendEscaped(nil, strings.TrimSpace(description))))
			templates[code] = append(templates[code], t)
		case t == nil:
			return nil, fmt.Errorf("line %d: stands before any code", n)
		default:
			err = t.read(strings.TrimSpace(line))
		}
		if err != nil {
			return nil, fmt.Errorf("line %d: %w", n, err)
		}
	}
	return templates, nil
}

// read takes in one line below the code.
func (t *template) read(line string) error {
	word, rest, _ := strings.Cut(line, " ")
	switch word {
	case "with":
		for name := range strings.FieldsSeq(rest) {
			g, ok := groupNames[name]
			if !ok {
				return fmt.Errorf("no group %q", name)
			}
			t.with |= g
		}
		return nil
	case "details":
		var err error
		t.details, err = compile(rest)
		return err
	default:
		return fmt.Errorf("no word %q", word)
	}
}

package cloudwatch

import (
	"encoding/json"
	"unicode/utf8"
)

// The limits of an entity, from the service model.
const (
	maxKeyAttributeName   = 32
	maxAttributeName      = 256
	maxEntityValue        = 512
	leastKeyAttributes    = 2
	mostKeyAttributes     = 4
	mostEntityAttributes  = 10
	maxEntitySize         = 4096
	entityTypeService     = "Service"
	entityTypeResource    = "Resource"
	entityTypeAWSService  = "AWS::Service"
	entityTypeAWSResource = "AWS::Resource"
)

// rejectEntity returns rejectedEntityInfo for the entity of a PutLogEvents call,
// or nil if it is good. A bad entity does not keep the events from being stored.
func rejectEntity(raw json.RawMessage, class string) map[string]string {
	if len(raw) == 0 || string(raw) == "null" {
		return nil
	}
	var e struct {
		Key        map[string]string `json:"keyAttributes"`
		Attributes map[string]string `json:"attributes"`
	}
	var reason string
	switch err := json.Unmarshal(raw, &e); {
	case err != nil || len(e.Key)+len(e.Attributes) == 0:
		reason = "InvalidEntity"
	case class != classStandard:
		reason = "UnsupportedLogGroupType"
	case len(raw) > maxEntitySize:
		reason = "EntitySizeTooLarge"
	case len(e.Key) < leastKeyAttributes || len(e.Key) > mostKeyAttributes || !attributesFit(e.Key, maxKeyAttributeName):
		reason = "InvalidKeyAttributes"
	case len(e.Attributes) > mostEntityAttributes || !attributesFit(e.Attributes, maxAttributeName):
		reason = "InvalidAttributes"
	default:
		reason = checkEntityType(e.Key)
	}
	if reason == "" {
		return nil
	}
	return map[string]string{"errorType": reason}
}

// checkEntityType looks for the attributes that the type of an entity needs.
func checkEntityType(key map[string]string) string {
	var needed []string
	switch key["Type"] {
	case "":
		return "MissingRequiredFields"
	case entityTypeService, entityTypeAWSService:
		needed = []string{"Name"}
	case entityTypeResource, entityTypeAWSResource:
		needed = []string{"ResourceType", "Identifier"}
	default:
		return "InvalidTypeValue"
	}
	for _, name := range needed {
		if key[name] == "" {
			return "MissingRequiredFields"
		}
	}
	return ""
}

func attributesFit(attributes map[string]string, maxName int) bool {
	for name, value := range attributes {
		n, v := utf8.RuneCountInString(name), utf8.RuneCountInString(value)
		if n < 1 || n > maxName || v < 1 || v > maxEntityValue {
			return false
		}
	}
	return true
}

package transform

// hidden is what stands in the place of what is hidden whole.
const hidden = "***"

// A RedactPreset is a set of rules with a name.
type RedactPreset struct {
	Name  string
	Rules []RedactRule
}

// piiPaths are the members that Auth0's own log streams can obfuscate (pii_config of
// a log stream, with every one of its log_fields), at any depth.
func piiPaths() []string {
	return []string{
		"..first_name", "..given_name", "..last_name", "..family_name", "..name", "..email",
		"..phone", "..phone_number", "..old_phone_number", "..new_phone_number",
		"..address", "..username", "..user_name",
	}
}

// secretPaths are the members that hold what lets somebody in.
func secretPaths() []string {
	return []string{
		"..password", "..old_password", "..oldPassword", "..new_password", "..newPassword", "..password_hash", "..passwd", "..pwd",
		"..client_secret", "..clientSecret", "..secret", "..signing_secret", "..api_key", "..apiKey", "..apikey",
		"..private_key", "..privateKey", "..signing_key", "..access_token", "..accessToken", "..refresh_token", "..refreshToken",
		"..id_token", "..idToken", "..token", "..mfa_token", "..oob_code", "..binding_code", "..otp", "..recovery_code", "..totp_secret", "..otp_secret",
		"..code_verifier", "..device_code", "..client_assertion", "..assertion", "..subject_token", "..actor_token",
		"..authorization", "..Authorization", "..cookie", "..Cookie", "..set-cookie", "..Set-Cookie", "..httpAuthorization",
		"..x-api-key", "..X-Api-Key", "..SAMLResponse", "..SAMLRequest", "..ticket",
	}
}

// RedactPresets returns the presets in the order of the documentation.
func RedactPresets() []RedactPreset {
	all := []RedactPreset{
		{Name: "auth0-pii", Rules: []RedactRule{
			{Paths: piiPaths(), Action: ActionMask},
		}},
		{Name: "gdpr-minimal", Rules: []RedactRule{
			{Paths: []string{
				"..picture", "..birthdate", "..gender", "..middle_name", "..profile", "..website",
				"..location_info", "..geoip", "..latitude", "..longitude", "..postal_code", "..city_name",
			}, Action: ActionDrop},
			{Paths: append(piiPaths(), "..nickname", "..preferred_username"), Action: ActionMask},
			{Kinds: []string{"email", "ip", "phone"}, Keys: true, Action: ActionMask},
		}},
		{Name: "no-secrets", Rules: []RedactRule{
			{Paths: secretPaths(), Action: ActionReplace},
			{Kinds: []string{"jwt", "bearer"}, Keys: true, Action: ActionReplace},
		}},
	}
	for i := range all {
		for j := range all[i].Rules {
			all[i].Rules[j].Name = "preset " + all[i].Name
		}
	}
	return all
}

// presetRules returns the rules of a preset.
func presetRules(name string) ([]RedactRule, bool) {
	for _, p := range RedactPresets() {
		if p.Name == name {
			return p.Rules, true
		}
	}
	return nil, false
}

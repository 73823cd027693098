package stack

// The event codes that queries and metric filters look for. All are of the catalogue
// of package event, which a test compares; those of a whole category there are all of
// it.

// codesLoginFailed is the category auth.login.fail.
func codesLoginFailed() []string { return []string{"f", "fc", "fco", "fcoa", "fens", "fp", "fu"} }

// codesLogin is the category auth.login.success.
func codesLogin() []string { return []string{"s", "scoa", "sdel", "sens"} }

// codesAccountBlocked says that somebody may not log in to an account for a while.
func codesAccountBlocked() []string { return []string{"limit_sul", "limit_wc"} }

// codesAddressBlocked says that an address may not log in to any account for a while.
func codesAddressBlocked() []string { return []string{"limit_mu"} }

// codesMFARefused are second factors that were wrong, refused or tried too often.
func codesMFARefused() []string {
	return []string{
		"gd_auth_fail_email_verification", "gd_auth_failed", "gd_auth_rejected", "gd_otp_rate_limit_exceed",
		"gd_recovery_failed", "gd_recovery_rate_limit_exceed", "gd_webauthn_challenge_failed", "passkey_challenge_failed",
	}
}

// codesMFAChanged are second factors that were added, removed or done without.
func codesMFAChanged() []string {
	return []string{
		"gd_enrollment_complete", "gd_recovery_succeed", "gd_start_enroll", "gd_start_enroll_failed", "gd_unenroll",
		"gd_update_device_account", "gd_user_delete", "gd_webauthn_enrollment_failed",
		"my_account_authentication_method_failed", "my_account_authentication_method_succeeded",
	}
}

// codesPassword are changes of passwords, asked for, made and refused.
func codesPassword() []string { return []string{"fcp", "fcph", "fcpr", "scp", "scph", "scpr"} }

// codesAccount are other changes of accounts.
func codesAccount() []string {
	return []string{"du", "fce", "fcpn", "fcu", "fdu", "sce", "scpn", "scu", "sdu", "si", "sui", "ublkdu"}
}

// codesAdmin are changes of the tenant, and attempts at them.
func codesAdmin() []string {
	return []string{
		"fapi", "gd_module_switch", "gd_tenant_update", "kms_key_management_failure", "kms_key_management_success",
		"kms_key_state_changed", "sapi",
	}
}

// codesToken is the category auth.token_exchange.success, without feta, which is a
// failure.
func codesToken() []string {
	return []string{
		"ciba_exchange_succeeded", "idjag_exchange_succeeded", "sdeleacft", "seacft", "seccft", "secte", "sede", "seoobft",
		"seotpft", "sepft", "sepkoobft", "sepkotpft", "sepkrcft", "sercft", "sertft", "seta",
		"success_on_behalf_of_token_exchange",
	}
}

// codesTokenRefused is the category auth.token_exchange.fail, and feta.
func codesTokenRefused() []string {
	return []string{
		"ciba_exchange_failed", "failed_on_behalf_of_token_exchange", "fdeleacft", "feacft", "feccft", "fecte", "fede", "feoobft",
		"feotpft", "fepft", "fepotpft", "fercft", "ferrt", "fertft", "feta", "idjag_exchange_failed", "jwt_bearer_exchange_failed",
	}
}

// codesBreached are passwords that are known from breaches.
func codesBreached() []string { return []string{"pwd_leak", "reset_pwd_leak", "signup_pwd_leak"} }

// codesRateLimited are calls that Auth0 refused because there were too many.
func codesRateLimited() []string { return []string{"api_limit", "limit_delegation", "limit_ui"} }

// codesRateWarned come before calls are refused, and tell of other limits.
func codesRateWarned() []string {
	return []string{"api_limit_warning", "appi", "limit_phone", "token_quota_consumption_warning"}
}

// codesExtension are failures of the tenant's own code in the way of a login.
func codesExtension() []string {
	return []string{"actions_execution_failed", "fcph", "flows_execution_failed", "forms_submission_failed", "fpurh"}
}

// codesUnsent are messages that did not go out.
func codesUnsent() []string {
	return []string{
		"fn", "fv", "fvr", "gd_send_email_verification_failure", "gd_send_pn_failure", "gd_send_sms_failure",
		"gd_send_voice_failure",
	}
}

// codesSignup and codesSignupFailed are the categories auth.signup.success and
// auth.signup.fail.
func codesSignup() []string { return []string{"ss"} }

func codesSignupFailed() []string { return []string{"fs"} }

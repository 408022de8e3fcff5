// Joins the page's passkey button to allauth's WebAuthn forms, and says on the page when the passkey did not answer.
(() => {
  'use strict'
  const button = document.querySelector('[data-passkey]')
  if (!button) return
  const { passkey, credential, options, passwordless } = button.dataset
  const ids = { credential, passwordless, data: options }
  const forms = window.allauth.webauthn.forms
  const problem = document.querySelector('[data-passkey-problem]')
  button.addEventListener('click', () => { problem.hidden = true })
  document.addEventListener('allauth.error', (event) => {
    event.preventDefault()
    problem.hidden = false
  })
  if (passkey === 'login') forms.loginForm({ ids: { ...ids, login: button.id } })
  else if (passkey === 'add') forms.addForm({ ids: { ...ids, add: button.id } })
  else forms.authenticateForm({ ids: { ...ids, authenticate: button.id } })
})()

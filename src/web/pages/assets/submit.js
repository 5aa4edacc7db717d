// Sends the only form of the page on: an identity provider takes requests by POST.
document.forms[0].submit();
